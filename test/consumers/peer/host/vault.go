// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
)

// secrets is how many secrets a mount keeps.
const secrets = 10

// vaultHost is Vault, which starts its plugins through its SDK. It mounts a
// secrets engine several times, and lets each mount keep secrets in a storage of
// its own, all at once.
type vaultHost struct{ mounts int }

func (h vaultHost) run(ctx context.Context, how, where string, out io.Writer, self string) error {
	c, err := newCatalog(how, where)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.describe(ctx); err != nil {
		return err
	}
	var all []*mount
	defer func() {
		for _, m := range all {
			m.backend.Cleanup(ctx)
		}
	}()
	for i := range h.mounts {
		m, err := newMount(ctx, c, fmt.Sprintf("%s, mount %d", self, i), time.Duration(i+1)*time.Hour)
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	fmt.Fprintf(out, "a mount has a connection of its own: %v\n", !c.multiplexed)
	texts := make([]string, h.mounts)
	errs := make([]error, h.mounts)
	var uses sync.WaitGroup
	for i, m := range all {
		uses.Go(func() { texts[i], errs[i] = m.use(ctx) })
	}
	uses.Wait()
	for i, text := range texts {
		fmt.Fprint(out, strings.ReplaceAll(text, self, "MINE"))
		// Nothing of the others has come here meanwhile.
		errs = append(errs, all[i].check(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return unmount(ctx, all, out)
}

// unmount takes the first mount away. The others do not notice.
func unmount(ctx context.Context, all []*mount, out io.Writer) error {
	first := all[0]
	first.backend.Cleanup(ctx)
	if _, err := first.do(ctx, logical.ReadOperation, "secret/0", ""); err == nil {
		return fmt.Errorf("%s answers although it is unmounted", first.name)
	}
	for _, m := range all[1:] {
		if err := m.read(ctx, 0); err != nil {
			return fmt.Errorf("after another mount went: %w", err)
		}
	}
	fmt.Fprintln(out, "one mount is gone, the others are there")
	return nil
}

// mount is a secrets engine at a path, with the storage that Vault gives it.
type mount struct {
	name    string
	lease   time.Duration
	storage *logical.InmemStorage
	backend logical.Backend
}

func newMount(ctx context.Context, c *catalog, name string, lease time.Duration) (*mount, error) {
	backend, err := c.backend(ctx)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	m := &mount{name: name, lease: lease, storage: &logical.InmemStorage{}, backend: backend}
	err = backend.Setup(ctx, &logical.BackendConfig{
		StorageView: m.storage,
		System:      logical.StaticSystemView{DefaultLeaseTTLVal: lease},
		Logger:      hclog.NewNullLogger(),
		Config:      map[string]string{"mount": name},
		BackendUUID: name,
	})
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", name, err)
	}
	if err := backend.Initialize(ctx, &logical.InitializationRequest{}); err != nil {
		return nil, fmt.Errorf("initialize %s: %w", name, err)
	}
	return m, nil
}

// use writes and reads secrets, and returns what was answered as text.
func (m *mount) use(ctx context.Context) (string, error) {
	var text strings.Builder
	version := m.backend.(logical.PluginVersioner).PluginVersion().Version
	fmt.Fprintf(&text, "%s: %v %s %v\n", m.name, m.backend.Type(), version, m.backend.SpecialPaths().Unauthenticated)
	for i := range secrets {
		if _, err := m.do(ctx, logical.CreateOperation, fmt.Sprint("secret/", i), m.secret(i)); err != nil {
			return "", err
		}
		if err := m.read(ctx, i); err != nil {
			return "", err
		}
	}
	found, exists, err := m.backend.HandleExistenceCheck(ctx, m.request(logical.CreateOperation, "secret/3", ""))
	fmt.Fprintln(&text, "exists:", found, exists, err)
	_, err = m.do(ctx, logical.DeleteOperation, "secret/3", "")
	fmt.Fprintln(&text, "deleted:", err)
	gone, err := m.do(ctx, logical.ReadOperation, "secret/3", "")
	fmt.Fprintln(&text, "read again:", gone, err)
	listed, err := m.do(ctx, logical.ListOperation, "secret/", "")
	fmt.Fprintln(&text, "listed:", listed, err)
	refused, err := m.do(ctx, logical.UpdateOperation, "secret/bad", "bad")
	fmt.Fprintln(&text, "refused:", refused, err)
	_, err = m.do(ctx, logical.ReadOperation, "nowhere", "")
	fmt.Fprintln(&text, "no such path:", err)
	m.storage.FailGet(true)
	_, err = m.do(ctx, logical.ReadOperation, "secret/0", "")
	fmt.Fprintln(&text, "broken storage:", err)
	m.storage.FailGet(false)
	return text.String(), nil
}

func (m *mount) secret(i int) string { return fmt.Sprintf("secret %d of %s", i, m.name) }

// read reads a secret, which must be this mount's own.
func (m *mount) read(ctx context.Context, i int) error {
	resp, err := m.do(ctx, logical.ReadOperation, fmt.Sprint("secret/", i), "")
	if err != nil || resp == nil {
		return fmt.Errorf("secret %d of %s: answered %v, %w", i, m.name, resp, err)
	}
	want := map[string]any{"value": m.secret(i), "mount": m.name, "lease": m.lease.String()}
	for field, value := range want {
		if resp.Data[field] != value {
			return fmt.Errorf("%s got %q as %s, want %q", m.name, resp.Data[field], field, value)
		}
	}
	return nil
}

// check looks at the storage itself: it holds what this mount has written, and
// nothing else.
func (m *mount) check(ctx context.Context) error {
	want := map[string]string{"initialized": m.name}
	for i := range secrets {
		if i != 3 {
			want[fmt.Sprint("secret/", i)] = m.secret(i)
		}
	}
	keys, err := logical.CollectKeys(ctx, m.storage)
	if err != nil {
		return fmt.Errorf("list the storage of %s: %w", m.name, err)
	}
	if len(keys) != len(want) {
		return fmt.Errorf("the storage of %s has %q, want %d entries", m.name, keys, len(want))
	}
	for key, value := range want {
		entry, err := m.storage.Get(ctx, key)
		if err != nil || entry == nil || string(entry.Value) != value {
			return fmt.Errorf("the storage of %s has %v (%v) at %q, want %q", m.name, entry, err, key, value)
		}
	}
	return nil
}

func (m *mount) do(ctx context.Context, op logical.Operation, path, value string) (*logical.Response, error) {
	return m.backend.HandleRequest(ctx, m.request(op, path, value))
}

func (m *mount) request(op logical.Operation, path, value string) *logical.Request {
	return &logical.Request{ID: "1", Operation: op, Path: path, Data: map[string]any{"value": value}}
}
