"""gRPC server interceptors, one concern a file; `svc_runtime.grpc_server` fixes their order."""
