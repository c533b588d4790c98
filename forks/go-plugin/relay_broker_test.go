// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/broker"
)

// TestBrokerOfEndedSession has a session end while what its host accepts is on its way to the
// child: the broker stays free for the next one.
func TestBrokerOfEndedSession(t *testing.T) {
	engine := func() *broker.Broker {
		e := broker.New(broker.Config{Logger: hclog.NewNullLogger()})
		t.Cleanup(e.Close)
		return e
	}
	b := newRelayedBroker(engine())
	ended := &brokerUser{engine: engine(), refuse: func(error) {}, calls: func() int { return 0 }, told: new(acceptedIDs)}
	b.add(ended)
	b.remove(ended)
	b.hostAccepts(ended, 7)
	if b.owner != nil {
		t.Error("the broker belongs to a session that has ended, and to no other one ever")
	}
}
