"""What operators are told of the control plane: figures, readiness, and whether the audit's chains hold."""
