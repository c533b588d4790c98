// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
)

// hold makes a call on stub that the plugin holds, and returns how to end it.
func hold(plugin, stub *relay) (release func() error) {
	done := make(chan error, 1)
	go func() {
		_, err := stub.call(context.Background(), "Hold", "")
		done <- err
	}()
	<-plugin.held
	return func() error {
		close(plugin.gate)
		return <-done
	}
}

// A host that never pauses hears it from an answer, failed or not, or from a
// probe.
func TestBusyHostHearsOfDrain(t *testing.T) {
	cases := map[string]func(stub *relay, session *plugin.Session) error{
		"Call": func(stub *relay, _ *plugin.Session) error {
			_, err := stub.call(context.Background(), "Name", "")
			return err
		},
		"Failure": func(stub *relay, _ *plugin.Session) error {
			if _, err := stub.call(context.Background(), "Busy", ""); errors.Is(err, plugin.ErrConnectionLost) {
				return err
			}
			return nil
		},
		"Probe": func(_ *relay, session *plugin.Session) error { return session.Ping() },
	}
	for name, call := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, session, stub, _ := attachedRelay(t, nil)
			release := hold(stub, stub) // a probe alone does not keep a plugin
			if err := call(stub, session); err != nil {
				t.Fatal(err)
			}
			select {
			case <-session.Draining():
				t.Fatal("told before the plugin leaves")
			default:
			}
			p.stop()
			for told := false; !told; {
				if err := call(stub, session); err != nil {
					t.Fatalf("not told before the session ended: %v", err)
				}
				select {
				case <-session.Draining():
					told = true
				default:
				}
			}
			if err := release(); err != nil {
				t.Error(err)
			}
			<-session.Done()
			if err := p.ended(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// A stream may last as long as the plugin does, and go on for as long as the
// plugin waits for it. The host must hear of that while there is time.
func TestStreamingHostHearsOfDrain(t *testing.T) {
	cases := map[string]func(t *testing.T, stub *relay) *relay{
		"Session": func(_ *testing.T, stub *relay) *relay { return stub },
		"Brokered": func(t *testing.T, stub *relay) *relay {
			return &relay{conn: lent(t, stub)}
		},
	}
	for name, streamer := range cases {
		t.Run(name, func(t *testing.T) {
			p, session, stub, _ := attachedRelay(t, func(cfg *plugin.ClientConfig) { cfg.KeepaliveInterval = -1 })
			stream, err := streamer(t, stub).count(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			<-stub.held
			p.stop()
			select {
			case <-session.Draining():
			case <-session.Done():
				t.Error("not told before the session ended")
			}
			close(stub.gate)
			if err := stream.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
				t.Errorf("the stream ends with %v", err)
			}
			if err := p.ended(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// lent connects to the relay that the plugin lends.
func lent(t *testing.T, stub *relay) *grpc.ClientConn {
	t.Helper()
	id, err := stub.call(t.Context(), "Lend", "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := stub.broker.Dial(parseID(id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A host without calls loses nothing: its session ends, and that is all.
func TestDrainEndsIdleSession(t *testing.T) {
	t.Parallel()
	p, session, _, _ := attachedRelay(t, nil)
	p.stop()
	<-session.Done()
	if err := session.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("the session ended with %v", err)
	}
	select {
	case <-session.Draining():
	default:
		t.Error("the host was not told that the plugin leaves")
	}
	if err := p.ended(t); err != nil {
		t.Error(err)
	}
}

// A session that is lost, or closed by this side, was not left by the plugin.
func TestOtherEndsAreNoDrain(t *testing.T) {
	ends := map[string]func(session *plugin.Session){
		"Lost":   func(session *plugin.Session) { session.Cut() },
		"Closed": func(session *plugin.Session) { _ = session.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			_, session, _, _ := attachedRelay(t, nil)
			end(session)
			<-session.Done()
			select {
			case <-session.Draining():
				t.Error("Draining is closed")
			default:
			}
		})
	}
}
