// Command colloquy is the customer-service engine and its tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/telemetry"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitCheck  = 3 // a check ran and did not pass
)

// version is set by the build.
var version = ""

// cli is the command line: one field and one file a subcommand.
type cli struct {
	Serve         serveCmd         `cmd:"" help:"Run a node."`
	Init          initCmd          `cmd:"" help:"Set up a data directory and print the one-time token that makes the first admin."`
	CheckConfig   checkConfigCmd   `cmd:"" help:"Check the configuration and say everything that is wrong with it."`
	DefaultConfig defaultConfigCmd `cmd:"" help:"Print the default configuration as YAML."`
	Predict       predictCmd       `cmd:"" help:"Show how a sentence is understood."`
	Evaluate      evaluateCmd      `cmd:"" help:"Measure packs on labelled sentences."`
	Intent        intentCmd        `cmd:"" help:"Import, export and test what the bot knows, and check intent engines."`
	Pack          packCmd          `cmd:"" help:"See, save and roll back the packs of a running node."`
	Dialogues     dialoguesCmd     `cmd:"" help:"Replay whole conversations and report what the bot resolves."`
	Replay        replayCmd        `cmd:"" help:"Read stored conversations again: their states, or what the bot would do now."`
	Emotion       emotionCmd       `cmd:"" help:"Measure how well anger is heard on labelled sentences."`
	Trace         traceCmd         `cmd:"" help:"Show where the kept turns of a conversation spent their time."`
	Export        exportCmd        `cmd:"" help:"Write everything as JSON lines."`
	Import        importCmd        `cmd:"" help:"Read an export into an empty data directory."`
	Backup        backupCmd        `cmd:"" help:"Copy the journal, consistently and with checksums."`
	Restore       restoreCmd       `cmd:"" help:"Check a backup and make a data directory of it."`
	Healthcheck   healthcheckCmd   `cmd:"" help:"Ask a running node whether it is ready."`
	Channel       channelCmd       `cmd:"" help:"Accounts with providers: Telegram, WeChat, WhatsApp and others."`
	Contact       contactCmd       `cmd:"" help:"Erase a contact, or keep one from being erased."`
	Retention     retentionCmd     `cmd:"" help:"Erase the conversations that their inboxes keep no longer, or count them."`
	Cluster       clusterCmd       `cmd:"" help:"See and steer the nodes of a cluster."`
	Bench         benchCmd         `cmd:"" help:"Measure this program on this machine."`
	Chaos         chaosCmd         `cmd:"" help:"Break nodes on purpose and count what is lost."`
	Soak          soakCmd          `cmd:"" help:"Run a node for hours under visitors who come and go, and see whether it grows or loses anything."`
	Version       versionCmd       `cmd:"" help:"Print the version."`
}

// tool is what every subcommand gets.
type tool struct {
	ctx     context.Context //nolint:containedctx // the life of the process
	args    []string
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

// failure is an error with an exit code of its own. Without a cause it has been
// told already.
type failure struct {
	code int
	err  error
}

// Error implements error.
func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit status %d", f.code)
	}
	return f.err.Error()
}

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: tests call it.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	t := &tool{ctx: ctx, args: args, environ: environ, stdout: stdout, stderr: stderr}
	ended := -1
	parser, err := kong.New(&cli{}, kong.Name("colloquy"),
		kong.Description("A self-hosted, omni-channel customer-service engine."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { ended = code }), kong.Bind(t), kong.Vars{"faults": faultNames()})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "colloquy:", err)
		return exitFailed
	}
	if len(args) == 1 && args[0] == "help" {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	switch {
	case ended >= 0: // --help
		return ended
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "colloquy: %v\nTry `colloquy --help`, or --help after a subcommand.\n", err)
		return exitUsage
	}
	if err := command.Run(t); err != nil {
		f := (*failure)(nil)
		known := errors.As(err, &f)
		if !known || f.err != nil {
			_, _ = fmt.Fprintln(stderr, "colloquy:", err)
		}
		if known {
			return f.code
		}
		return exitFailed
	}
	return exitOK
}

// buildVersion gives what the build set, or what the module system knows.
func buildVersion() string { return telemetry.Version(version) }

// configFlags are the flags of everything that reads the configuration.
type configFlags struct {
	Config   string   `help:"Configuration file (YAML)." env:"COLLOQUY_CONFIG" placeholder:"FILE"`
	DataDir  string   `help:"Where the journal is." placeholder:"DIR"`
	PacksDir string   `help:"Folder with own packs." placeholder:"DIR"`
	LogLevel string   `help:"debug, info, warn or error." placeholder:"LEVEL"`
	Set      []string `help:"Any other setting, such as --set gateway.connections=50000." placeholder:"KEY=VALUE" sep:"none"`
}

// load gives the configuration: defaults, file, environment, flags.
func (f *configFlags) load(t *tool, more map[string]string) (engine.Config, error) {
	c, err := engine.LoadConfig(f.Config, withoutFlagVariables(t.environ))
	if err != nil {
		return c, &failure{exitUsage, err}
	}
	values := map[string]string{"data_dir": f.DataDir, "packs.dir": f.PacksDir, "log.level": f.LogLevel}
	maps.Copy(values, more)
	if err := setFlags(&c, values, f.Set); err != nil {
		return c, &failure{exitUsage, err}
	}
	if err := c.Validate(); err != nil {
		return c, &failure{exitUsage, err}
	}
	return c, nil
}
