// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a block may take: some build programs on a machine that is busy.
const patience = 8 * time.Minute

// anywhere is an address that tests do not listen on: another stands for it, which
// pages name as well.
const anywhere = "0.0.0.0"

// Shell runs the blocks of one page, one after the other. What they leave running ends
// with Close.
type Shell struct {
	Dir    string            // where each block begins
	Env    []string          // all of it
	Stands map[string]string // texts of the page, and what stands for them in this run
	Log    string            // a directory for what is printed

	groups []int
	blocks int
}

// command is one of a block, with what the page says that it prints.
type command struct {
	text   string
	output string
	shown  bool // whether the page says it
}

// split parts a block of console into its commands; one of sh is a single one.
func split(b Block) []command {
	if b.Language == "sh" {
		return []command{{text: b.Text}}
	}
	var all []command
	for line := range strings.Lines(b.Text) {
		if text, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, command{text: text})
			continue
		}
		if len(all) == 0 {
			all = append(all, command{})
		}
		last := &all[len(all)-1]
		if text, ok := strings.CutPrefix(line, "> "); ok && !last.shown {
			last.text += text
			continue
		}
		last.output, last.shown = last.output+line, true
	}
	return all
}

// Run runs a block, and compares what it prints with output, the block below it, if that
// is not nil. A block that serves is left running.
func (s *Shell) Run(ctx context.Context, b Block, output *Block) error {
	commands := split(b)
	if output != nil {
		last := &commands[len(commands)-1]
		last.output, last.shown = output.Text, true
	}
	for i, c := range commands {
		serves := ""
		if i == len(commands)-1 {
			serves = cmp.Or(b.Marks["serves"], b.Marks["shows"])
		}
		if err := s.one(ctx, c, serves); err != nil {
			return fmt.Errorf("%s: %s\n%w", b, strings.TrimSpace(c.text), err)
		}
	}
	if b.Marks["shows"] != "" {
		last := len(s.groups) - 1
		defer func() { s.groups = s.groups[:last] }()
		return end(s.groups[last:])
	}
	return nil
}

func (s *Shell) one(ctx context.Context, c command, serves string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.blocks++
	name := filepath.Join(s.Log, fmt.Sprintf("%02d", s.blocks))
	// Files and not pipes: what runs on in the background keeps them open.
	stdout, err := os.Create(name + ".out")
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(name + ".err")
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", s.here(c.text))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.Dir, s.Env, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.groups = append(s.groups, cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	// What is printed is looked at until it says what is waited for, or is as the page has it
	// while something in the background still prints.
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if serves != "" {
				return s.told(fmt.Errorf("it has ended, and was to print %q: %v", serves, err), name)
			}
			if err != nil {
				return s.told(err, name)
			}
			return s.told(s.compare(c, name), name)
		case <-ctx.Done():
			tick.Stop()
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
			return s.told(ctx.Err(), name)
		case <-tick.C:
			out, log := s.printed(name)
			if serves != "" && strings.Contains(out+log, serves) {
				tick.Stop()
				return s.told(s.compare(c, name), name)
			}
		}
	}
}

func (s *Shell) compare(c command, name string) error {
	if !c.shown {
		return nil
	}
	out, log := s.printed(name)
	return compare(c.output, out, log)
}

// told adds to an error what was printed.
func (s *Shell) told(err error, name string) error {
	if err == nil {
		return nil
	}
	out, log := s.printed(name)
	return fmt.Errorf("%w\nstdout:\n%s\nstderr:\n%s", err, out, log)
}

// here puts what stands for them in this run into the place of texts of the page.
func (s *Shell) here(text string) string {
	var pairs []string
	for page, here := range s.Stands {
		pairs = append(pairs, page, here)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// printed gives what a command has printed, as the page would have it.
func (s *Shell) printed(name string) (stdout, stderr string) {
	var pairs []string
	for page, here := range s.Stands {
		if page != anywhere {
			pairs = append(pairs, here, page)
		}
	}
	back := strings.NewReplacer(pairs...)
	read := func(path string) string {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		return back.Replace(string(bytes.ToValidUTF8(raw, []byte("?"))))
	}
	return read(name + ".out"), read(name + ".err")
}

// Close ends what the blocks have left running: asked first, and then killed.
func (s *Shell) Close() error { return end(s.groups) }

func end(groups []int) error {
	var stuck []error
	for _, group := range groups {
		_ = syscall.Kill(-group, syscall.SIGTERM)
	}
	deadline := time.Now().Add(30 * time.Second)
	for _, group := range groups {
		for !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
			if time.Now().After(deadline) {
				_ = syscall.Kill(-group, syscall.SIGKILL)
				stuck = append(stuck, fmt.Errorf("process group %d did not end within 30s of SIGTERM", group))
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return errors.Join(stuck...)
}
