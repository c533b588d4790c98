// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"bytes"
	"context"
	"encoding/gob"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hashicorp/go-plugin"
)

// Known is a request or an answer that is a message of protocol buffers' own, such as
// google.protobuf.Empty: over net/rpc it travels as the messages of a contract do, which its
// type M does not say by itself. It is used by its pointer alone.
type Known[M any] struct{ Message M }

// ProtoReflect makes it the message itself, to whoever encodes it.
func (k *Known[M]) ProtoReflect() protoreflect.Message { return k.message().ProtoReflect() }

func (k *Known[M]) message() proto.Message { return any(&k.Message).(proto.Message) }

// GobEncode gives what net/rpc carries: the same bytes as gRPC.
func (k *Known[M]) GobEncode() ([]byte, error) { return proto.Marshal(k.message()) }

// GobDecode undoes GobEncode.
func (k *Known[M]) GobDecode(raw []byte) error { return proto.Unmarshal(raw, k.message()) }

// encoded is a message, as net/rpc carries one whose type does not say how it is encoded.
type encoded []byte

// GobEncode is as that of Known.
func (e encoded) GobEncode() ([]byte, error) { return e, nil }

// GobDecode is as that of Known.
func (e *encoded) GobDecode(raw []byte) error {
	*e = bytes.Clone(raw)
	return nil
}

// callKnown is Call for messages of which one or the other is of protocol buffers' own.
func (c *rpcCaller) callKnown(ctx context.Context, method string, in, out proto.Message) error {
	raw, err := proto.Marshal(in)
	if err != nil {
		return err
	}
	var answer encoded
	if err := plugin.CallContext(ctx, c.client, "Plugin."+method, encoded(raw), &answer); err != nil {
		return err
	}
	return proto.Unmarshal(answer, out)
}

// encodesItself reports whether gob has a message as it is.
func encodesItself(m proto.Message) bool {
	_, ok := m.(gob.GobEncoder)
	return ok
}
