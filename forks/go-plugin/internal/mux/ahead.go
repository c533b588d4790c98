// SPDX-License-Identifier: MPL-2.0

package mux

// maxAhead is how many bytes of requests in one frame a host sends, on all channels together
// whose kinds the plugin may still be making. The plugin keeps them until then, and ends the
// session when they are more than maxQueued. Further requests are sent in parts, for which
// the plugin has the host wait. What is between the two bounds is for one request of each
// channel, as those that are sent at once do not see each other, and for peers that have
// another idea of what a request costs.
const maxAhead = 48 << 20

// isFarAhead reports whether a request is to be sent in parts for that reason.
func (c *Channel) isFarAhead() bool { return c.making.Load() && c.host.ahead.Load() >= maxAhead }

// countAhead counts a request in one frame of n bytes.
func (c *Channel) countAhead(number uint64, n int) {
	if !c.making.Load() {
		return
	}
	c.firstAhead.CompareAndSwap(0, number+1)
	cost := int64(n + frameCost)
	c.ahead.Add(cost)
	c.host.ahead.Add(cost)
	if !c.making.Load() {
		c.uncountAhead() // The answer that came meanwhile may not have seen it.
	}
}

// uncountAhead counts the requests of the channel no more: its kind is made, or the plugin has
// been told of its end, and keeps them no longer.
func (c *Channel) uncountAhead() { c.host.ahead.Add(-c.ahead.Swap(0)) }

// noteMade notes that the kind is made, or could not be, if the answer at hand shows that. The
// plugin answers a request in one frame no sooner. One in parts it may refuse before.
func (c *Channel) noteMade() {
	m := &c.head
	if m.kind != kindRefused || m.size == refusedUnserved || m.number+1 == c.firstAhead.Load() {
		c.making.Store(false)
		c.uncountAhead()
	}
}
