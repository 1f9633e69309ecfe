"""Looking after a zoo as a whole: checking, collecting garbage, copying."""
