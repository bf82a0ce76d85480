//go:build !race

package cluster_test

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// newUnknownMessage makes a message of a type that is in no registry, as the
// types of a newer version are.
func newUnknownMessage() proto.Message {
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("of_a_newer_version.proto"), Package: new("newer"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("Surprise")}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return dynamicpb.NewMessage(file.Messages().Get(0))
}
