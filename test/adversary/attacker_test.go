// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever floods is a process of its own, which has one processor at most and the lowest
// priority: on a machine of two processors it would otherwise take from whoever it attacks,
// and from the honest peer in this process, what an attacker elsewhere could not. What an
// honest peer waits for is so the victim's doing. Before it floods, the attacker only uses
// its processor, which gives the baseline.

// attackVariable has the order of such a process, in JSON.
const attackVariable = "ADVERSARY_ATTACK"

// Sides of an attacker.
const (
	asHost   = "host"   // floods a plugin
	asPlugin = "plugin" // floods the hosts that come
)

// order says what an attacker does.
type order struct {
	Side, Name, Protocol string
	Addr                 string        // of the plugin
	Total                uint64        // frames
	For                  time.Duration // how long hosts are flooded; a host's flood ends by itself
	Spins                bool          // before it begins, beside which the baseline is taken
}

// report is what has come of it.
type report struct {
	Sent     uint64 // frames
	Came     int64  // bytes
	Sessions int
	Err      string
}

// attack is the main function of an attacker. It says where it listens or "ready", waits for
// a line, attacks, and reports.
func attack(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	begin := make(chan struct{})
	var begun atomic.Bool
	told := func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		begun.Store(true)
		close(begin)
	}
	if o.Spins {
		go func() {
			for !begun.Load() { // uses the processor
			}
		}()
	}
	var r report
	var err error
	if o.Side == asHost {
		fmt.Println("ready")
		told()
		if o.Name == malformedOnes {
			r, err = sendEach(o.Addr, o.Protocol, malformedHosts())
		} else {
			r, err = pluginFloods()[o.Name].run(o.Addr, o.Protocol, o.Total)
		}
	} else {
		r, err = o.floodHosts(begin, told)
	}
	if err != nil {
		r.Err = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
	return 0
}

// floodHosts listens, and floods whoever comes.
func (o *order) floodHosts(begin <-chan struct{}, told func()) (r report, err error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	var sessions, sent atomic.Uint64
	var accepting sync.WaitGroup
	ending := make(chan struct{})
	by := hostFloods()[o.Name].by(o.Protocol, o.Total, begin, &sessions, &sent)
	accepting.Go(func() { acceptHostile(lis, ending, by) })
	fmt.Println(lis.Addr())
	told()
	time.Sleep(o.For)
	close(ending)
	_ = lis.Close()
	accepting.Wait()
	return report{Sent: sent.Load(), Sessions: int(sessions.Load())}, nil
}

// attacker is such a process, which has not attacked yet.
type attacker struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string // where it listens, or "ready"
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startAttacker starts one. It ends with the test at the latest.
func startAttacker(t *testing.T, o order) *attacker {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{t: t, cmd: exec.Command("nice", "-n", "19", os.Args[0])}
	a.cmd.Env = append(os.Environ(), attackVariable+"="+string(text), "GOMAXPROCS=1")
	a.cmd.Stderr = os.Stderr
	if a.stdin, err = a.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
	})
	a.stdout = bufio.NewReader(stdout)
	line, err := a.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("the attacker says %q, %v", line, err)
	}
	a.addr = line[:len(line)-1]
	return a
}

// attack has it do so, and waits for what has come of it.
func (a *attacker) attack() (r report) {
	a.t.Helper()
	stuck := time.AfterFunc(floodsEnd, func() { _ = a.cmd.Process.Kill() }) // which ends the report
	defer stuck.Stop()
	_, err := io.WriteString(a.stdin, "begin\n")
	if err == nil {
		err = json.NewDecoder(a.stdout).Decode(&r)
	}
	if err != nil || r.Err != "" || r.Sent == 0 {
		a.t.Errorf("the attacker has sent %d frames: %s, %v", r.Sent, r.Err, err)
	}
	return r
}

// beside attacks a victim beside an honest peer that asks again and again, and says how that
// fares and what the victim's processor has to do.
func (a *attacker) beside(f *figures, victim *process, who string, ask func() error) report {
	a.t.Helper()
	var baseline, calls latencies
	if *all {
		before := keepAsking(a.t, baseline.timed(ask))
		time.Sleep(baselineTime)
		f.served(who+" before", before)
	}
	peer := keepAsking(a.t, calls.timed(ask))
	began, spent := time.Now(), victim.cpu()
	r := a.attack()
	spent, lasted := victim.cpu()-spent, time.Since(began)
	f.note(true, "%d frames in %d sessions and %v", r.Sent, r.Sessions, lasted.Round(time.Millisecond))
	f.served(who, peer)
	f.compare(&calls, &baseline)
	f.note(true, "processor %.2f, %v a frame", spent.Seconds()/lasted.Seconds(), spent/time.Duration(max(r.Sent, 1)))
	return r
}

const (
	// baselineTime is how long the baseline is measured.
	baselineTime = time.Second
	// floodsEnd is after how long an attacker is ended that does not end by itself, busy as
	// the machine may be.
	floodsEnd = 10 * time.Minute
)
