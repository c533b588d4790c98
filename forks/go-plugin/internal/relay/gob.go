// SPDX-License-Identifier: MPL-2.0

package relay

// gobCounter counts the pairs of values in one direction of a stream that carries
// net/rpc: a header and a body are a request, or an answer. It looks at the frame of each
// message of gob and at no more.
type gobCounter struct {
	skip   int    // bytes until something is to be looked at
	number []byte // of an integer that has not come whole
	inside bool   // the length was read, the type comes next
	length int    // of the message
	values int
	lost   bool // it is no gob
}

// streamID is how many bytes either side writes before the first message: the brokered
// stream's id.
const streamID = 4

func newGobCounter() gobCounter { return gobCounter{skip: streamID} }

// pairs takes in what comes next, and returns how many pairs it has completed.
func (g *gobCounter) pairs(data []byte) (completed int) {
	before := g.values / 2
	for len(data) > 0 && !g.lost {
		if n := min(g.skip, len(data)); n > 0 {
			g.skip, data = g.skip-n, data[n:]
			continue
		}
		g.number, data = append(g.number, data[0]), data[1:]
		g.integer()
	}
	return g.values/2 - before
}

// integer acts on the integer that has come, if it is whole: a byte of less than 128, or
// one that says, negated, how many follow.
func (g *gobCounter) integer() {
	n, first := uint64(0), g.number[0]
	if first < 0x80 {
		n = uint64(first)
	} else {
		size := -int(int8(first))
		if size > 8 {
			g.lost = true
			return
		}
		if len(g.number) < 1+size {
			return
		}
		for _, b := range g.number[1:] {
			n = n<<8 | uint64(b)
		}
	}
	width := len(g.number)
	g.number = g.number[:0]
	if !g.inside {
		g.inside, g.length = true, int(min(n, 1<<31))
		g.lost = n == 0 || n >= 1<<31
		return
	}
	g.inside = false
	if g.skip = g.length - width; g.skip < 0 {
		g.lost = true
		return
	}
	if n&1 == 0 { // positive: a value. A negative type begins its description.
		g.values++
	}
}
