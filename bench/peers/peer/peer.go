// Package peer is what the servers that stand beside the gateway share: the work
// of a message, and the orders of the benchmark that leads them.
//
// The work is what a server without more ado would do: the standard library's
// JSON, an acknowledgment with the fields of the gateway's. There is no routing,
// no authentication and no limit in it, so the comparison favors the peers.
package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// message is what a client sends.
type message struct {
	T        string `json:"t"`
	V        int    `json:"v"`
	Token    string `json:"token"`
	ClientID string `json:"client_id"`
	Text     string `json:"text"`
}

// ack is the answer to message.send.
type ack struct {
	T            string    `json:"t"`
	ClientID     string    `json:"client_id"`
	Conversation string    `json:"conversation_id"`
	MessageID    string    `json:"message_id"`
	Seq          int       `json:"seq"`
	At           time.Time `json:"at"`
	Durable      bool      `json:"durable"`
}

const (
	welcome      = `{"t":"welcome","session":"ws_1","epoch":"peer","heartbeat_ms":25000,"max_frame":32768}`
	resumed      = `{"t":"resumed","complete":true}`
	conversation = "cnv_00000000000000000000000001"
)

// Answer gives the frames that answer one of a client's.
func Answer(frame []byte) ([][]byte, error) {
	var m message
	if err := json.Unmarshal(frame, &m); err != nil {
		return nil, err
	}
	switch m.T {
	case "hello":
		return [][]byte{[]byte(welcome), []byte(resumed)}, nil
	case "message.send":
		_, digits, _ := strings.Cut(m.ClientID, "-")
		n, err := strconv.Atoi(digits)
		if err != nil || m.Text == "" {
			return nil, fmt.Errorf("message %q", frame)
		}
		b, err := json.Marshal(ack{
			T: "ack", ClientID: m.ClientID, Conversation: conversation, MessageID: conversation + "_" + digits,
			Seq: n + 1, At: time.Now().UTC().Truncate(time.Millisecond), Durable: true,
		})
		return [][]byte{b}, err
	}
	return nil, fmt.Errorf("type %q", m.T)
}

// Run serves on loopback, says where, and obeys the orders on standard input
// until it ends.
func Run(handler http.Handler) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		fmt.Fprintln(os.Stderr, srv.Serve(ln))
		os.Exit(1)
	}()
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(map[string]any{"addr": ln.Addr().String()})
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = out.Encode(map[string]any{"rss": resident(), "heap": m.HeapAlloc, "stack": m.StackInuse, "goroutines": runtime.NumGoroutine()})
	}
}

func resident() int64 {
	raw, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
