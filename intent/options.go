package intent

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent/packs"
)

// Options configure a [Library]. The zero value serves the built-in packs.
type Options struct {
	Dir        string                // the operator's packs: sub-folders or single files; empty means none
	Builtin    fs.FS                 // packs that come with the program, one folder each; nil means the embedded ones
	Store      Store                 // packs that can be changed while the node runs; nil means none
	Cache      string                // folder that keeps calibrators between runs; empty means none, and each run trains them anew
	Logger     *slog.Logger          // nil means no log
	Registerer prometheus.Registerer // nil means no metrics
	Poll       time.Duration         // how often Dir is looked at; zero means one second
	Workers    int                   // goroutines for training; zero means one less than the processors, at least one, and all for what is quick
	Now        func() time.Time      // clock for load times and latencies; zero means the system's
}

// defaultPoll is how often the operator's folder is looked at.
const defaultPoll = time.Second

// Validate checks the options. Errors: class [conversation.ErrInvalid].
func (o *Options) Validate() error {
	if o.Poll < 0 || o.Workers < 0 {
		return conversation.Refuse(conversation.CodeInvalid, "intent: poll and workers must not be negative")
	}
	if o.Dir == "" {
		return nil
	}
	info, err := os.Stat(o.Dir)
	if err != nil {
		return &conversation.Error{Code: conversation.CodeInvalid, Detail: "folder of packs", Err: err}
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: folder of packs: %s is not a folder", conversation.ErrInvalid, o.Dir)
	}
	return nil
}

func (o *Options) fill() {
	if o.Builtin == nil {
		o.Builtin = packs.FS()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Workers == 0 {
		o.Workers = max(runtime.GOMAXPROCS(0)-1, 1)
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of an injected clock
	}
}
