// SPDX-License-Identifier: MPL-2.0

package read

import (
	"testing"

	"github.com/reattach/reattach/gen/evolve"
	"github.com/reattach/reattach/gen/model"
)

// FuzzProto reads any text as a .proto file: it is a contract, or an error.
func FuzzProto(f *testing.F) {
	f.Add("syntax = \"proto3\";\npackage a.b.v1;\nservice S { rpc M(A) returns (stream A); }\nmessage A { oneof x { A a = 1; int32 b = 2; } map<string, A> m = 3; message B {} }\n")
	f.Add("package a; service S { rpc M(X) returns (X); }")
	f.Add("syntax = \"proto3\";\npackage v1;\n// reattach:kind=x\nservice S { // reattach:timeout=\nrpc M(A) returns (A); }\nmessage A {}")
	f.Fuzz(func(t *testing.T, source string) {
		c, err := protoContract(t.Context(), &model.Contract{Path: "a.test/a", Proto: "a.proto", ProtoSource: source})
		if err != nil {
			return
		}
		record, err := evolve.Number(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if changes := evolve.Compare(record, record); len(changes) > 0 {
			t.Errorf("a contract differs from itself: %v", changes)
		}
	})
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"name": "name", "userID": "user_id", "HTTPServer": "http_server", "TTL": "ttl", "v2Beta": "v2_beta", "a_b": "a_b", "XY": "xy",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
