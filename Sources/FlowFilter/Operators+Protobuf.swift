// The operators for protobuf and gRPC.

extension FilterOperator {
    static let protobuf: [FilterOperator] = [
        FilterOperator("~grpc", .grpcStatus, .end, cost: 5, "status of a gRPC call, by name or number: UNAVAILABLE, 14, >0"),
        FilterOperator(
            "~proto", .protobufField, .end, cost: 9,
            "field of a protobuf message, by numbers or (--proto) names: ~proto[1.2], ~proto[user.name] =Ada"),
    ]
}
