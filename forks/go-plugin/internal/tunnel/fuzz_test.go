// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// FuzzRequested is the metadata of a stream that a host opens.
func FuzzRequested(f *testing.F) {
	for _, id := range []string{"7", "", "-1", "4294967296", "+7", "0x7", " 7", "007", "1_0"} {
		f.Add(id, "3")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(keyID, text, keyKnock, name, keyID, "9"))
		id, knock, err := requested(ctx)
		digits := text != "" && strings.Trim(text, "0123456789") == ""
		if err != nil {
			if status.Code(err) != codes.InvalidArgument || digits && len(strings.TrimLeft(text, "0")) < 10 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !digits || strconv.FormatUint(uint64(id), 10) != strings.TrimLeft(text[:len(text)-1], "0")+text[len(text)-1:] || knock != name {
			t.Fatalf("%q is taken for %d, %q for %q", text, id, name, knock)
		}
	})
}

// chunks are messages that a peer sends, cut where the zeros are.
type chunks struct{ wire []string }

func (*chunks) Send(*pluginpb.Chunk) error { return nil }

func (c *chunks) Recv() (*pluginpb.Chunk, error) {
	if len(c.wire) == 0 {
		return nil, io.EOF
	}
	var m pluginpb.Chunk
	err := proto.Unmarshal([]byte(c.wire[0]), &m)
	c.wire = c.wire[1:]
	return &m, err
}

// FuzzChunks is what a peer sends on a brokered connection: data arrives in order up
// to what ends it, and nothing behind that.
func FuzzChunks(f *testing.F) {
	var sent []string
	for _, m := range []*pluginpb.Chunk{{Data: []byte("a")}, {Data: []byte("b")}, {End: true}, {Data: []byte("c"), End: true}} {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		sent = append(sent, string(wire))
		f.Add(strings.Join(sent, cut))
	}
	f.Fuzz(func(t *testing.T, data string) {
		want, ended, broken := "", false, false
		for script := (&chunks{strings.Split(data, cut)}); ; {
			m, err := script.Recv()
			if err != nil {
				broken = !errors.Is(err, io.EOF)
				break
			}
			if want += string(m.GetData()); m.GetEnd() {
				ended = true // what follows may break the connection, or not
				break
			}
		}
		c := newConn(7)
		defer c.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.receive(t.Context(), &chunks{strings.Split(data, cut)})
		}()
		got, err := io.ReadAll(c)
		if string(got) != want || !ended && (err != nil) != broken {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		_ = c.Close()
		<-done
	})
}

// cut stands between two messages.
const cut = "|cut|"
