// Types that many services use and few descriptors of theirs declare: the well-known types, the details of errors (google/rpc), and gRPC's own
// services.

extension ProtobufTypes {
    /// Adds them, where no type of the name is known.
    mutating func addBuiltIn() {
        for (name, fields) in Self.builtIn {
            add(MessageType(name: name, fields: fields.compactMap { FieldType(notation: $0) }, isMapEntry: name.hasSuffix("Entry")))
        }
        add(EnumType(name: "google.protobuf.NullValue", values: [("NULL_VALUE", 0)]))
        let serving = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].enumerated().map { ($1, Int32($0)) }
        add(EnumType(name: "grpc.health.v1.HealthCheckResponse.ServingStatus", values: serving))
        for version in ["v1", "v1alpha"] {
            let package = "grpc.reflection.\(version)."
            add(
                MethodType(input: "\(package)ServerReflectionRequest", output: "\(package)ServerReflectionResponse"),
                named: "\(package)ServerReflection/ServerReflectionInfo")
        }
        for name in ["Check", "Watch"] {
            add(
                MethodType(input: "grpc.health.v1.HealthCheckRequest", output: "grpc.health.v1.HealthCheckResponse"),
                named: "grpc.health.v1.Health/\(name)")
        }
    }

    /// Messages and their fields: number, name, type. A `*` after the number marks a repeated field.
    private static let builtIn: [(String, [String])] =
        wrappers + reflection("v1") + reflection("v1alpha") + [
            ("google.protobuf.Any", ["1 type_url string", "2 value bytes"]),
            ("google.protobuf.Timestamp", ["1 seconds int64", "2 nanos int32"]),
            ("google.protobuf.Duration", ["1 seconds int64", "2 nanos int32"]),
            ("google.protobuf.Empty", []),
            ("google.protobuf.FieldMask", ["1* paths string"]),
            ("google.protobuf.Struct", ["1* fields google.protobuf.Struct.FieldsEntry"]),
            ("google.protobuf.Struct.FieldsEntry", ["1 key string", "2 value google.protobuf.Value"]),
            (
                "google.protobuf.Value",
                [
                    "1 null_value enum:google.protobuf.NullValue", "2 number_value double", "3 string_value string",
                    "4 bool_value bool", "5 struct_value google.protobuf.Struct", "6 list_value google.protobuf.ListValue",
                ]
            ),
            ("google.protobuf.ListValue", ["1* values google.protobuf.Value"]),
            ("google.rpc.Status", ["1 code int32", "2 message string", "3* details google.protobuf.Any"]),
            (
                "google.rpc.ErrorInfo",
                ["1 reason string", "2 domain string", "3* metadata google.rpc.ErrorInfo.MetadataEntry"]
            ),
            ("google.rpc.ErrorInfo.MetadataEntry", ["1 key string", "2 value string"]),
            ("google.rpc.RetryInfo", ["1 retry_delay google.protobuf.Duration"]),
            ("google.rpc.DebugInfo", ["1* stack_entries string", "2 detail string"]),
            ("google.rpc.QuotaFailure", ["1* violations google.rpc.QuotaFailure.Violation"]),
            ("google.rpc.QuotaFailure.Violation", ["1 subject string", "2 description string"]),
            ("google.rpc.PreconditionFailure", ["1* violations google.rpc.PreconditionFailure.Violation"]),
            ("google.rpc.PreconditionFailure.Violation", ["1 type string", "2 subject string", "3 description string"]),
            ("google.rpc.BadRequest", ["1* field_violations google.rpc.BadRequest.FieldViolation"]),
            (
                "google.rpc.BadRequest.FieldViolation",
                ["1 field string", "2 description string", "3 reason string", "4 localized_message google.rpc.LocalizedMessage"]
            ),
            ("google.rpc.RequestInfo", ["1 request_id string", "2 serving_data string"]),
            (
                "google.rpc.ResourceInfo",
                ["1 resource_type string", "2 resource_name string", "3 owner string", "4 description string"]
            ),
            ("google.rpc.Help", ["1* links google.rpc.Help.Link"]),
            ("google.rpc.Help.Link", ["1 description string", "2 url string"]),
            ("google.rpc.LocalizedMessage", ["1 locale string", "2 message string"]),
            ("grpc.health.v1.HealthCheckRequest", ["1 service string"]),
            (
                "grpc.health.v1.HealthCheckResponse",
                ["1 status enum:grpc.health.v1.HealthCheckResponse.ServingStatus"]
            ),
        ]

    private static let wrappers: [(String, [String])] = [
        "Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes",
    ].map { ("google.protobuf.\($0)Value", ["1 value \($0.lowercased())"]) }

    private static func reflection(_ version: String) -> [(String, [String])] {
        let package = "grpc.reflection.\(version)."
        return [
            (
                "\(package)ServerReflectionRequest",
                [
                    "1 host string", "3 file_by_filename string", "4 file_containing_symbol string",
                    "5 file_containing_extension \(package)ExtensionRequest", "6 all_extension_numbers_of_type string",
                    "7 list_services string",
                ]
            ),
            ("\(package)ExtensionRequest", ["1 containing_type string", "2 extension_number int32"]),
            (
                "\(package)ServerReflectionResponse",
                [
                    "1 valid_host string", "2 original_request \(package)ServerReflectionRequest",
                    "4 file_descriptor_response \(package)FileDescriptorResponse",
                    "5 all_extension_numbers_response \(package)ExtensionNumberResponse",
                    "6 list_services_response \(package)ListServiceResponse", "7 error_response \(package)ErrorResponse",
                ]
            ),
            ("\(package)FileDescriptorResponse", ["1* file_descriptor_proto bytes"]),
            ("\(package)ExtensionNumberResponse", ["1 base_type_name string", "2* extension_number int32"]),
            ("\(package)ListServiceResponse", ["1* service \(package)ServiceResponse"]),
            ("\(package)ServiceResponse", ["1 name string"]),
            ("\(package)ErrorResponse", ["1 error_code int32", "2 error_message string"]),
        ]
    }
}

extension FieldType {
    /// - Parameter notation: `1* paths string`.
    fileprivate init?(notation: String) {
        let parts = notation.split(separator: " ").map(String.init)
        guard parts.count == 3, let number = UInt32(parts[0].filter(\.isNumber)) else { return nil }
        let scalars: [String: Kind] = [
            "double": .double, "float": .float, "int64": .int64, "uint64": .uint64, "int32": .int32, "uint32": .uint32,
            "bool": .bool,
            "string": .string, "bytes": .bytes,
        ]
        let isEnum = parts[2].hasPrefix("enum:")
        self.init(
            number: number, name: parts[1], jsonName: parts[1].lowerCamelCase,
            kind: scalars[parts[2]] ?? (isEnum ? .enumeration(String(parts[2].dropFirst(5))) : .message(parts[2])),
            isRepeated: parts[0].hasSuffix("*"), isDelimited: false, isGroup: false, oneof: nil)
    }
}
