// SPDX-License-Identifier: MPL-2.0

package sniff

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
)

func TestConnReadsBufferThenConnection(t *testing.T) {
	client, server := tcpPair(t)
	if _, err := io.WriteString(client, "first"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(server)
	if _, err := br.Peek(5); err != nil {
		t.Fatal(err)
	}
	conn := NewConn(server, br)
	if _, err := io.WriteString(client, " second"); err != nil {
		t.Fatal(err)
	}
	client.CloseWrite()

	// Three bytes at a time cross the border between buffer and connection.
	var got []byte
	for p := make([]byte, 3); ; {
		n, err := conn.Read(p)
		got = append(got, p[:n]...)
		if err != nil {
			break
		}
		if n == 0 {
			t.Fatal("a read gave nothing and no error")
		}
	}
	if string(got) != "first second" {
		t.Errorf("read %q", got)
	}
	if conn.(*Conn).buffered != nil {
		t.Error("the drained buffer is still held")
	}
	if conn.(*Conn).NetConn() != net.Conn(server) {
		t.Error("NetConn is not the connection beneath")
	}
}

func TestNewConnWithNothingBuffered(t *testing.T) {
	_, server := tcpPair(t)
	if conn := NewConn(server, bufio.NewReader(server)); conn != net.Conn(server) {
		t.Errorf("a connection with nothing buffered was wrapped in %T", conn)
	}
}

func TestConnCloseWrite(t *testing.T) {
	client, server := tcpPair(t)
	io.WriteString(client, "x")
	br := bufio.NewReader(server)
	br.Peek(1)
	if err := NewConn(server, br).(*Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer should read the end: %v", err)
	}

	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	go io.WriteString(other, "x")
	br = bufio.NewReader(pipe)
	br.Peek(1)
	if err := NewConn(pipe, br).(*Conn).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a pipe cannot be half closed: %v", err)
	}
}
