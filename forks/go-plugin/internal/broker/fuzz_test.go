// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/printable"
)

// answering is a link to a broker that answers at once.
type answering struct {
	script
	answer func(message)
}

func (a *answering) Send(msg message) error {
	a.answer(msg)
	return nil
}

// FuzzMessages sends anything to each sort of broker, and dials what it announced:
// nothing is dialled but what has an address, and what is said of the rest can be shown.
func FuzzMessages(f *testing.F) {
	for _, msg := range []message{
		{ServiceId: 7, Network: "unix", Address: "/tmp/plugin7"}, {ServiceId: 7, Network: "udp\x1b", Address: strings.Repeat("\u202e", 500)},
		{ServiceId: 7, Knock: &pluginpb.ConnInfo_Knock{Knock: true}}, {ServiceId: 7, Knock: &pluginpb.ConnInfo_Knock{Ack: true, Error: strings.Repeat("\x1bno", 500)}},
	} {
		wire, err := proto.Marshal(msg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var msg pluginpb.ConnInfo
		if proto.Unmarshal(wire, &msg) != nil {
			return
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		b := New(testConfig(Listeners(ListenerConfig{})))
		defer b.Close()
		b.transport.receive(&msg)
		d, err := b.transport.dialer(ended, msg.GetServiceId())
		if err != nil {
			checkShown(t, err)
		} else if msg.GetNetwork() != "tcp" && msg.GetNetwork() != "unix" || msg.GetKnock() != nil || d.dial == nil {
			t.Fatalf("%v would be dialled", &msg)
		}

		// The same as the answer to a knock.
		m := New(testConfig(Multiplexed(nil)))
		defer m.Close()
		acks := m.transport.(*multiplexed)
		m.link.streams.Put(struct{}{}, &answering{answer: func(message) { acks.acks.Deliver(msg.GetServiceId(), &msg) }})
		if err := acks.knock(t.Context(), msg.GetServiceId()); err != nil {
			checkShown(t, err)
		} else if msg.GetKnock().GetError() != "" {
			t.Fatalf("%v is no refusal", &msg)
		}
	})
}

// checkShown says that an error's text can go to a terminal or a log.
func checkShown(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if printable.Text(text) != text || len(text) > 2*printable.MaxText {
		t.Fatalf("%q", text)
	}
}
