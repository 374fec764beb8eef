#!/usr/bin/env python3
"""A gRPC server of Fixtures/protobuf/shop.proto that answers with its descriptors (server reflection), and a client that asks for them first.

usage: grpc_shop_peer.py server SET      says on stderr where it listens; SET is the descriptor set shop.pb
       grpc_shop_peer.py client TARGET   asks for the descriptors, then makes calls with messages of these types
"""

import concurrent.futures
import sys

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "shop.v1.Shop"
LIMIT = 10.0


def message(pool, name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def serve(path):
    pool = descriptor_pool.DescriptorPool()
    with open(path, "rb") as file:
        for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
            pool.Add(proto)
    order, item = message(pool, "shop.v1.Order"), message(pool, "shop.v1.Item")

    def buy(request, context):
        if not request.items:
            details = any_pb2.Any()
            violation = error_details_pb2.BadRequest.FieldViolation(field="items", description="an order has items")
            details.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
            status = status_pb2.Status(code=3, message="nothing to buy", details=[details])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nothing to buy")
        return item(name=request.items[0].name, count=7, colours=[1, 77])

    def watch(request, context):
        for number in range(2):
            yield order(id=f"order {number}")

    handlers = {
        "Buy": grpc.unary_unary_rpc_method_handler(
            buy, request_deserializer=order.FromString, response_serializer=item.SerializeToString),
        "Watch": grpc.unary_stream_rpc_method_handler(
            watch, request_deserializer=item.FromString, response_serializer=order.SerializeToString),
    }
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server, pool=pool)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on {port}", file=sys.stderr, flush=True)
    server.wait_for_termination()


def call(target):
    with grpc.insecure_channel(target) as channel:
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName(SERVICE)
        order, item = message(pool, "shop.v1.Order"), message(pool, "shop.v1.Item")
        buy = channel.unary_unary(
            f"/{SERVICE}/Buy", request_serializer=order.SerializeToString, response_deserializer=item.FromString)
        bought = buy(order(id="o1", items=[item(name="tea", number=5)]), timeout=LIMIT, compression=grpc.Compression.Gzip)
        watch = channel.unary_stream(
            f"/{SERVICE}/Watch", request_serializer=item.SerializeToString, response_deserializer=order.FromString)
        seen = [found.id for found in watch(bought, timeout=LIMIT)]
        try:
            buy(order(id="o2"), timeout=LIMIT)
        except grpc.RpcError as error:
            print(f"{service.name}: {bought.name} {bought.count}, {seen}, {error.code().name}")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(sys.argv[2])
    else:
        call(sys.argv[2])
