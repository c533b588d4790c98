// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package plugin_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin"
)

// While a long message is on its way, either way, nobody answers a ping. The
// plugin lives all the same.
func TestPingDuringLongMessage(t *testing.T) {
	for name, slow := range map[string]func(here, there net.Conn) (net.Conn, net.Conn){
		"request": func(here, there net.Conn) (net.Conn, net.Conn) { return here, slowConn{there} },
		"answer":  func(here, there net.Conn) (net.Conn, net.Conn) { return slowConn{here}, there },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Minute) }) // slowConn
				here, there := slow(net.Pipe())
				muxPlugin(t, there, &echoPlugin{newEchoImpl()})
				session := muxHost(t, here, func(c *plugin.ClientConfig) {
					c.KeepaliveInterval, c.PingTimeout = 5*time.Second, 5*time.Second
				})
				text := strings.Repeat("x", 1<<20)
				stub := dispenseEcho(t, session)
				done := make(chan error, 1)
				go func() {
					got, err := stub.Echo(text)
					if err == nil && got != text {
						err = errors.New("another text came back")
					}
					done <- err
				}()
				for waiting := true; waiting; {
					select {
					case err := <-done:
						if err != nil {
							t.Error(err)
						}
						waiting = false
					case <-time.After(time.Second):
						if err := session.Ping(); err != nil {
							t.Fatalf("ping: %v", err)
						}
					}
				}
			})
		})
	}
}
