// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// stormMemory is what basic may occupy while a plugin storms its broker: hostMemory,
	// and 4096 announcements of 16 KiB that nobody has dialled yet. The 1024 streams or
	// knocks that wait take some 16 MiB of hostMemory.
	stormMemory = hostMemory + 4096*16<<10
	// stormGoroutines are those that wait for the id of a stream, or for somebody to
	// accept the id of a knock: 1024 of a session, and of the one before it if that has
	// just ended.
	stormGoroutines = spareHost + 2*1024
)

// firstStranger is an id that no host accepts: each counts its own from one.
const firstStranger = 1 << 20

// yamuxFrame is one that opens a stream and sends data on it.
func yamuxFrame(stream uint32, data string) string {
	head := []byte{0, 0, 0, 1} // version, data, SYN
	head = binary.BigEndian.AppendUint32(head, stream)
	head = binary.BigEndian.AppendUint32(head, uint32(len(data)))
	return string(head) + data
}

// stormStreams opens brokered streams of yamux without end, each of which says what named
// gives.
func stormStreams(named func(n uint32) string) func(net.Conn) {
	return func(c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		w := bufio.NewWriterSize(c, 64<<10)
		_, err := w.WriteString(answerOf("netrpc", nil))
		for n := uint32(1); err == nil; n++ {
			_, err = w.WriteString(yamuxFrame(2*n, named(n))) // A plugin's streams have even numbers.
		}
	}
}

func brokerID(id uint32) string { return string(binary.LittleEndian.AppendUint32(nil, id)) }

// rawCodec has messages as they are on the wire.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (rawCodec) Name() string                       { return "proto" }

// stormLink serves gRPC, is well, and sends messages of the broker
// without end.
func stormLink(message func(n uint32) []byte) func(net.Conn) {
	serve := func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		switch method {
		case "/grpc.health.v1.Health/Check":
			return s.SendMsg([]byte("\x08\x01")) // SERVING
		case "/plugin.GRPCBroker/StartStream":
			go func() {
				for s.RecvMsg(new([]byte)) == nil {
				}
			}()
			for n := uint32(1); ; n++ {
				if err := s.SendMsg(message(n)); err != nil {
					return err
				}
			}
		}
		_ = s.SendHeader(metadata.MD{})
		<-s.Context().Done()
		return nil
	}
	return func(c net.Conn) {
		_, _ = io.WriteString(c, answerOf("grpc", nil))
		server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(serve))
		defer server.Stop()
		conn := &hangUp{Conn: c, done: make(chan struct{})}
		_ = server.Serve(&once{conn})
		<-conn.done
	}
}

// connInfo is the message ConnInfo of PROTOCOL.md, section 3.
func connInfo(id uint32, network, address string) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(id))
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), network)
	return protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), address)
}

// TestBrokerStorms has a plugin dial ids that the host never accepted, without end.
func TestBrokerStorms(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	stranger := func(n uint32) string { return brokerID(firstStranger + n) }
	for name, behave := range map[string]func(net.Conn){
		"streams over yamux":                stormStreams(stranger),
		"streams over yamux for one id":     stormStreams(func(uint32) string { return brokerID(firstStranger) }),
		"streams over yamux without an id":  stormStreams(func(uint32) string { return "" }),
		"announcements":                     stormLink(func(n uint32) []byte { return connInfo(firstStranger+n, "tcp", "127.0.0.1:1") }),
		"announcements with long addresses": stormLink(func(n uint32) []byte { return connInfo(firstStranger+n, "tcp", long) }),
	} {
		t.Run(name, func(t *testing.T) {
			underAttackWithin(t, "a plugin that storms the broker: "+name, serveHostile(t, behave), stormMemory, stormGoroutines, nil)
		})
	}
}
