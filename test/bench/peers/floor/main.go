// SPDX-License-Identifier: MPL-2.0

// Command floor measures what no plugin can be faster than: a Go call, and bytes that go
// to another process and back over a socket.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func main() {
	peer.Program{
		Subjects: []peer.Subject{
			{Name: "direct", Batch: 1000, Open: func(*peer.Servers) (peer.Target, error) {
				return peer.AttachFunc(direct), nil
			}},
			{Name: "pingpong-tcp", Open: func(s *peer.Servers) (peer.Target, error) {
				return open(s, "tcp", "127.0.0.1:0")
			}},
			{Name: "pingpong-relay", Open: relayed},
			{Name: "pingpong-unix", Open: func(s *peer.Servers) (peer.Target, error) {
				return open(s, "unix", filepath.Join(s.Dir(), "echo"))
			}},
		},
		Serve: serve,
	}.Main()
}

func direct() (peer.Session, error) {
	return peer.NewSession(new(greet.Plain), func() error { return nil }), nil
}

func open(s *peer.Servers, network, address string) (peer.Target, error) {
	server, err := s.Start(nil, network, address)
	if err != nil {
		return nil, err
	}
	return pinging(network, server.Line), nil
}

func pinging(network, address string) peer.Target {
	return peer.AttachFunc(func() (peer.Session, error) {
		conn, err := net.Dial(network, address)
		if err != nil {
			return nil, err
		}
		return &pinger{conn: conn}, nil
	})
}

// smallest is the size of a small frame, and header the part of it that says how long
// the rest is.
const (
	smallest = 64
	header   = 4
)

// pinger sends a frame and waits for it to come back. It is for one caller.
type pinger struct {
	conn net.Conn
	buf  []byte
}

// Greet sends name, filled up to the smallest frame.
func (p *pinger) Greet(name string) (string, error) {
	size := max(smallest, header+len(name))
	if len(p.buf) != size {
		p.buf = make([]byte, size)
		binary.BigEndian.PutUint32(p.buf, uint32(size-header))
	}
	copy(p.buf[header:], name)
	if _, err := p.conn.Write(p.buf); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(p.conn, p.buf); err != nil {
		return "", err
	}
	return string(p.buf[header : header+len(name)]), nil
}

func (p *pinger) Close() error { return p.conn.Close() }

// serve echoes frames.
func serve(args []string) error {
	if args[0] == "relay" {
		return relay(args[1])
	}
	lis, err := net.Listen(args[0], args[1])
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	for {
		conn, err := lis.Accept()
		if err != nil {
			return err
		}
		go echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	var frame []byte
	for {
		head, err := r.Peek(header)
		if err != nil {
			return
		}
		size := header + int(binary.BigEndian.Uint32(head))
		if len(frame) != size {
			frame = make([]byte, size)
		}
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}
