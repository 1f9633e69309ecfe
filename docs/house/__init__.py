"""The house as its imports show it: which rooms there are, what each uses, and on which floor it therefore stands."""
