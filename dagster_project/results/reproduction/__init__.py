"""Parts of a reproduction: its plan, the scratch home, the runs in it, the recorded environment, the comparison."""
