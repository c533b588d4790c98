// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework/common"
	"github.com/vmware-tanzu/velero/pkg/plugin/velero"
)

// backUp finds the object store, as Velero does at its start, and keeps objects in a
// bucket of the host's own: a small one for each item, and a large one in pieces.
func backUp(client plugin.ClientProtocol, out io.Writer, self string) error {
	say := func(what string, answer ...any) {
		fmt.Fprintln(out, strings.ReplaceAll(fmt.Sprint(append([]any{what + ": "}, answer...)...), self, "MINE"))
	}
	lister, err := dispense[framework.PluginLister](client, common.PluginKindPluginLister)
	if err != nil {
		return err
	}
	found, err := lister.ListPlugins()
	if err != nil || len(found) == 0 {
		return fmt.Errorf("list the plugins: %v, %w", found, err)
	}
	for _, p := range found {
		say("plugin", p.Kind, " ", p.Name, " of ", filepath.Base(p.Command))
	}
	dispenser, err := dispense[common.ClientDispenser](client, common.PluginKindObjectStore)
	if err != nil {
		return err
	}
	store, ok := dispenser.ClientFor(found[0].Name).(velero.ObjectStore)
	if !ok {
		return fmt.Errorf("%s is no object store", found[0].Name)
	}
	say("init without a bucket", store.Init(nil))
	say("init", store.Init(map[string]string{"bucket": self}))
	for i := range 20 {
		key := fmt.Sprintf("backups/b%d/item", i)
		say("put", store.PutObject(self, key, strings.NewReader(fmt.Sprint(self, " item ", i))))
		text, err := get(store, self, key)
		say("got", string(text), err)
	}
	large := bytes.Repeat([]byte("velero "), 1<<20)
	say("put a large one", store.PutObject(self, "backups/large", bytes.NewReader(large)))
	text, err := get(store, self, "backups/large")
	say("got the large one", len(text), sha256.Sum256(text) == sha256.Sum256(large), err)
	say("refused", store.PutObject(self, "bad", strings.NewReader("bad")))
	_, err = get(store, self, "nothing")
	say("not there", err)
	exists, err := store.ObjectExists(self, "backups/b3/item")
	say("exists", exists, err)
	say("deleted", store.DeleteObject(self, "backups/b3/item"))
	keys, err := store.ListObjects(self, "backups/b1")
	say("listed", keys, err)
	prefixes, err := store.ListCommonPrefixes(self, "backups/", "/")
	say("prefixes", prefixes, err)
	url, err := store.CreateSignedURL(self, "backups/large", time.Hour)
	say("signed", url, err)
	return nil
}

// get reads an object to its end.
func get(store velero.ObjectStore, bucket, key string) ([]byte, error) {
	body, err := store.GetObject(bucket, key)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
