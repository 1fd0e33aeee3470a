"""The cases as a benchmark: tasks for agents, their grader, and a table of scores."""
