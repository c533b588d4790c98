// SPDX-License-Identifier: MPL-2.0

package dynamic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/rpc"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// rpcInvoker calls the methods of a kind over net/rpc, whose messages are those of gRPC,
// encoded within gob, as generated glue has them.
type rpcInvoker struct {
	*glue
	client *rpc.Client
}

// Invoke implements daemon.Invoker.
func (r *rpcInvoker) Invoke(ctx context.Context, method string, args json.RawMessage) (json.RawMessage, error) {
	if len(r.methods) == 0 {
		return nil, fmt.Errorf("%s.%s %w: the plugin speaks net/rpc, which does not tell the types of arguments: "+
			"give the contract.json of a generated contract, or use a host that has the Go interface", r.kind, method, daemon.ErrNotCallable)
	}
	m, err := r.method(method)
	if err != nil {
		return nil, err
	}
	in, err := m.request(args)
	if err != nil {
		return nil, err
	}
	raw, err := proto.Marshal(in)
	if err != nil {
		return nil, err
	}
	var answer gobMessage
	if err := plugin.CallContext(ctx, r.client, "Plugin."+method, gobMessage(raw), &answer); err != nil {
		return nil, withoutDetails(err)
	}
	out := dynamicpb.NewMessage(m.Answer)
	if err := proto.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("read the answer of %s.%s as %s: %w", r.kind, method, m.Answer.FullName(), err)
	}
	return m.result(out)
}

// withoutDetails gives an error of generated glue with the text that its author wrote: behind
// it stands what the glue of a host makes an error of the contract of.
func withoutDetails(err error) error {
	text, _, marked := strings.Cut(err.Error(), " {reattach-error:")
	if _, fault := stub.Cause(err); fault || !marked {
		return err
	}
	return &reworded{err, text}
}

// reworded is an error with another text.
type reworded struct {
	error
	text string
}

func (e *reworded) Error() string { return e.text }

func (e *reworded) Unwrap() error { return e.error }

// gobMessage is an encoded message of protocol buffers as gob carries it.
type gobMessage []byte

// GobEncode implements gob.GobEncoder.
func (m gobMessage) GobEncode() ([]byte, error) { return m, nil }

// GobDecode implements gob.GobDecoder.
func (m *gobMessage) GobDecode(raw []byte) error {
	*m = bytes.Clone(raw)
	return nil
}
