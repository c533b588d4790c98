// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// mailKept is how long an announcement is kept for a dial that comes later.
const mailKept = time.Minute

// mailLimit is how many announcements are kept at once. A peer that announces
// more than anybody dials loses its oldest, not our memory.
const mailLimit = 4096

// mailroom brings messages about ids to whoever waits for them. Each message
// goes to one waiter, in the order in which they came.
type mailroom struct {
	mu      sync.Mutex
	waiting map[uint32][]*mailbox
	kept    map[uint32]keptMail
}

type keptMail struct {
	msg  *pluginpb.ConnInfo
	when time.Time
}

// mailbox waits for one message.
type mailbox struct {
	room *mailroom
	id   uint32
	msg  chan *pluginpb.ConnInfo
}

func newMailroom() *mailroom {
	return &mailroom{waiting: map[uint32][]*mailbox{}, kept: map[uint32]keptMail{}}
}

// expect registers for the next message about id, or takes the one kept.
func (r *mailroom) expect(id uint32) *mailbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	box := &mailbox{room: r, id: id, msg: make(chan *pluginpb.ConnInfo, 1)}
	if mail, ok := r.kept[id]; ok {
		delete(r.kept, id)
		if time.Since(mail.when) < mailKept {
			box.msg <- mail.msg
			return box
		}
	}
	r.waiting[id] = append(r.waiting[id], box)
	return box
}

// deliver gives msg to who waits for it, and reports whether anybody does.
func (r *mailroom) deliver(msg *pluginpb.ConnInfo) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.give(msg)
}

// give is deliver for a caller that holds the lock.
func (r *mailroom) give(msg *pluginpb.ConnInfo) bool {
	boxes := r.waiting[msg.GetServiceId()]
	if len(boxes) == 0 {
		return false
	}
	boxes[0].msg <- msg
	r.drop(boxes[0])
	return true
}

// deliverOrKeep gives msg to who waits for it, or stores it for who may wait
// later, and forgets what nobody came for. Nobody can begin to wait between the
// two.
func (r *mailroom) deliverOrKeep(msg *pluginpb.ConnInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.give(msg) {
		return
	}
	now := time.Now()
	r.sweep(now)
	r.kept[msg.GetServiceId()] = keptMail{msg, now}
}

// sweep forgets what nobody came for, and makes room for one message more. The
// caller holds the lock.
func (r *mailroom) sweep(now time.Time) {
	var oldest uint32
	earliest := now
	for id, mail := range r.kept {
		if now.Sub(mail.when) >= mailKept {
			delete(r.kept, id)
			continue
		}
		if !mail.when.After(earliest) {
			oldest, earliest = id, mail.when
		}
	}
	if len(r.kept) >= mailLimit {
		delete(r.kept, oldest)
	}
}

// drop unregisters box. The caller holds the lock.
func (r *mailroom) drop(box *mailbox) {
	boxes := slices.DeleteFunc(r.waiting[box.id], func(b *mailbox) bool { return b == box })
	if len(boxes) == 0 {
		delete(r.waiting, box.id)
	} else {
		r.waiting[box.id] = boxes
	}
}

// wait returns the message, or the cause of ctx when that ends first. It is
// called once.
func (b *mailbox) wait(ctx context.Context) (*pluginpb.ConnInfo, error) {
	select {
	case msg := <-b.msg:
		return msg, nil
	case <-ctx.Done():
	}
	b.cancel()
	select {
	case msg := <-b.msg: // in the very moment
		return msg, nil
	default:
		return nil, context.Cause(ctx)
	}
}

// cancel waits no longer.
func (b *mailbox) cancel() {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	b.room.drop(b)
}
