// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// tlsMemory is what a plugin with TLS may occupy: the same as without, and some 50 KiB
// for each of maxPending handshakes.
const tlsMemory = strangersMemory + maxPending*50<<10

// clientHello is how an honest handshake begins.
func clientHello(t *testing.T, config *tls.Config) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, config).Handshake()
		_ = ours.Close()
	}()
	record := make([]byte, 16<<10)
	n, err := io.ReadAtLeast(theirs, record, 5)
	if err != nil {
		t.Fatal(err)
	}
	return string(record[:n])
}

// TestHalfHandshakes holds handshakes of TLS that go no further, more than may wait. Old ones
// go, and a host with a good certificate is served: while they come, as long as fewer of them
// come during its handshake than push out one that is as old, and afterwards.
func TestHalfHandshakes(t *testing.T) {
	t.Parallel()
	const opened = 3 * maxPending / 2
	a := newAuthority(t)
	hello := clientHello(t, a.config())
	for name, sent := range map[string]string{
		"a record's head": hello[:5], "half a hello": hello[:len(hello)/2], "a hello, and no more": hello,
		"a record of the largest size": "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + strings.Repeat("\x03", 12<<10),
	} {
		t.Run(name, func(t *testing.T) {
			v, honest := startTLSPlugin(t, a, "PLUGIN_HANDSHAKE_TIMEOUT=1m")
			f := measure(t, "%d handshakes of TLS that stop after %s", opened, name)
			began := time.Now()
			host := v.newcomers(honest)
			most := 0
			for i := range opened {
				_, _ = io.WriteString(dial(t, v.addr), sent)
				if i%64 == 0 {
					most = max(most, v.descriptors())
				}
				if i%(maxPending/4) == 0 {
					host.awaitOneMore(t)
				}
			}
			host.awaitOneMore(t)
			f.served("a host with a certificate", host)
			f.count("descriptors", most, maxPending+closing+sparePlugin)
			f.bytes("memory", v.peakMemory(), tlsMemory)
			f.bytes("log", v.log.size(), logBound(time.Since(began)))
		})
	}
}

// TestWrongCertificates has many come without a certificate that the plugin's authority
// vouches for, or without TLS. None of them gets an answer of the plugin.
func TestWrongCertificates(t *testing.T) {
	t.Parallel()
	const each, atOnce = 50, 16
	a, other := newAuthority(t), newAuthority(t)
	foreign := other.client()
	grafted := foreign // another key's certificate, with the names of the good authority
	grafted.Certificate = [][]byte{a.client().Certificate[0]}
	strangers := map[string]*tls.Config{
		"no certificate":                    a.config(),
		"one of another authority":          a.config(foreign),
		"one that has expired":              a.config(a.issue(&x509.Certificate{NotAfter: time.Now().Add(-time.Minute), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})),
		"one of a server":                   a.config(a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})),
		"one whose key it does not have":    a.config(grafted),
		"an old version of TLS":             {InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"a plain line of the handshake":     nil,
		"a plain connection of HTTP/2":      nil,
		"a plain net/rpc session, in yamux": nil,
	}
	plain := map[string]string{
		"a plain line of the handshake":     requestLine(nil),
		"a plain connection of HTTP/2":      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"a plain net/rpc session, in yamux": "\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00",
	}
	v, honest := startTLSPlugin(t, a)
	f := measure(t, "%d strangers at a port of TLS, of %d kinds", each*len(strangers), len(strangers))
	host := v.newcomers(honest)
	began := time.Now()
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for name, config := range strangers {
		for range each {
			turns <- struct{}{}
			all.Go(func() {
				defer func() { <-turns }()
				if said, err := knock(v.addr, config, plain[name]); err != nil || strings.Contains(said, "go-plugin") {
					t.Errorf("%s: it was told %.200q, %v", name, said, err)
				}
			})
		}
	}
	all.Wait()
	lasted := time.Since(began)
	f.served("a host with a certificate", host)
	v.settles(f)
	f.bytes("memory", v.peakMemory(), tlsMemory)
	f.bytes("log", v.log.size(), logBound(lasted))
}

// knock asks for a session, by TLS if it is configured, and waits until the other side
// has hung up. It gives what that has said; the error is that it does not hang up.
func knock(addr string, config *tls.Config, plain string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", fmt.Errorf("it cannot be reached: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if config == nil {
		_, _ = io.WriteString(conn, plain)
		_ = conn.(*net.TCPConn).CloseWrite()
		return hungUp(conn, 4<<10)
	}
	secure := tls.Client(conn, config)
	if secure.Handshake() != nil {
		return "", nil // With TLS 1.3 the client may learn of it only when it reads.
	}
	_, _ = io.WriteString(secure, requestLine(nil))
	return hungUp(secure, 4<<10)
}
