// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"bytes"
	"encoding/gob"
	"io"
	"net/rpc"
	"testing"
)

// peer is a connection whose other end sent some bytes and left.
type peer struct {
	io.Reader
	io.Writer
}

func (peer) Close() error { return nil }

// FuzzServe sends any bytes to the net/rpc side of both contracts. The server must
// come to an end by itself, and not panic.
func FuzzServe(f *testing.F) {
	for _, a := range []interface{}{
		map[string]interface{}{"name": "Ada"},
		map[string]interface{}{"name": 7},
		map[string]interface{}{},
		"just a text",
	} {
		var b bytes.Buffer
		enc := gob.NewEncoder(&b)
		if err := enc.Encode(rpc.Request{ServiceMethod: "Plugin.Greet", Seq: 1}); err != nil {
			f.Fatal(err)
		}
		if err := enc.Encode(a); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, impl := range []interface{}{
			&greeterRPCServer{impl: speaker{}},
			&pingPongerRPCServer{impl: speaker{}},
		} {
			server := rpc.NewServer()
			if err := server.RegisterName("Plugin", impl); err != nil {
				t.Fatal(err)
			}
			server.ServeConn(peer{bytes.NewReader(sent), io.Discard})
		}
	})
}
