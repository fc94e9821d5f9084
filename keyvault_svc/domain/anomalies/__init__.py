"""What is unusual in the use of a grant: baselines, rules over them, and what is done about it.

Rules are pure functions over figures, and say in words what was seen and what is normal. Nothing
here decides on a request: it looks at what requests left, after they were answered.
"""
