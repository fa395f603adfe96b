"""HOW MANY: windows, policy, decide(), the recorder of samples and the loop. Knows no HTTP and no Kubernetes."""
