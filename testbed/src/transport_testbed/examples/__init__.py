"""The conformance classes of interCEde's own transports: to run, and to copy from.

``python -m pytest --pyargs transport_testbed.examples.ssh`` runs the suite on transport-ssh, which
has to be installed. Nothing else in the testbed knows a transport.
"""
