// The operators with a JSON path in brackets and an optional VALUE.

import FlowModel

extension FilterOperator {
    static let json: [FilterOperator] = [
        FilterOperator("~json", .json(nil), .end, cost: 9, "value of a JSON body, or of a message that is JSON"),
        FilterOperator("~jsonq", .json(.client), .end, cost: 9, "value of a JSON request body, or of a message from the client"),
        FilterOperator("~jsons", .json(.server), .end, cost: 9, "value of a JSON response body, or of a message from the server"),
    ]
}
