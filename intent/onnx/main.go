// Command onnx is an intent backend for Colloquy that runs a sentence encoder
// exported to ONNX, by ONNX Runtime, on the same machine. It learns from a pack
// what the vectors of its questions are, and answers POST /v1/classify as
// docs/intent-plugin.md describes.
//
// It is a module and a process of its own. ONNX Runtime is native code that is
// loaded as a shared library: the program that keeps conversations stays free of
// cgo, and goes on when this one crashes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "onnx:", err)
		os.Exit(1) //nolint:gocritic // the process ends anyway
	}
}

// settings are the flags.
type settings struct {
	encoder   encoderOptions
	questions string
	packs     []string
	listen    string
	token     string
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("onnx", flag.ContinueOnError)
	flags.StringVar(&s.encoder.library, "runtime", "", "shared library of ONNX Runtime, such as libonnxruntime.so")
	flags.StringVar(&s.encoder.model, "model", "", "the encoder, an .onnx file")
	flags.StringVar(&s.encoder.vocabulary, "vocab", "", "its WordPiece vocabulary, one token a line")
	flags.BoolVar(&s.encoder.cased, "cased", false, "the vocabulary tells capital letters and accents apart")
	flags.StringVar(&s.encoder.prefix, "prefix", "", "what stands before every text, such as \"query: \"")
	flags.IntVar(&s.encoder.threads, "threads", 1, "threads of one inference")
	flags.StringVar(&s.questions, "questions", "", "JSON lines with intent and text, or a pack as colloquy intent export --format json writes it")
	packs := flags.String("pack", "", "packs whose intents these are, separated by commas")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8090", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	for _, need := range []struct{ name, value string }{
		{"runtime", s.encoder.library}, {"model", s.encoder.model}, {"vocab", s.encoder.vocabulary}, {"questions", s.questions}, {"pack", *packs},
	} {
		if need.value == "" {
			return s, fmt.Errorf("-%s is needed", need.name)
		}
	}
	if s.encoder.threads < 1 {
		return s, errors.New("-threads has to be 1 at least")
	}
	s.packs, s.token = strings.Split(*packs, ","), os.Getenv("INTENT_TOKEN")
	return s, nil
}

// run learns and serves until ctx ends. It says on out where.
func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	questions, err := readQuestions(s.questions)
	if err != nil {
		return err
	}
	enc, err := openEncoder(s.encoder)
	if err != nil {
		return err
	}
	defer enc.close()
	h, err := learn(ctx, enc, questions)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           newServer(enc, h, s.packs, s.token).routes(),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(grace)
	})
	_, _ = fmt.Fprintf(out, "%d questions, %d numbers a sentence, serving on http://%s\n", len(questions), enc.size, ln.Addr())
	err = srv.Serve(ln)
	if !stop() {
		<-ended // nothing uses the encoder any more
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
