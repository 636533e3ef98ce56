"""Departments, budgets, seats against use, and what a month will cost."""
