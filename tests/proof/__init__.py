"""What the proof itself is measured with: mutants of a flow, and flows that grow."""
