"""Archives of data sets: fetched over HTTP, checked, unpacked safely, put in their place in one step."""
