// Command cdc carries the changes of a MySQL or MariaDB server elsewhere.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"cdc/fault"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // something went wrong; stderr says what and what to do next
	exitUsage = 2 // the command line or the configuration is wrong; nothing was done
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return exitOK // the reader of our output went away: `cdc tail | head`
	}
	return report(stderr, err)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cdc",
		Short: "Carry the changes of MySQL and MariaDB elsewhere, each once and in order",
		Long: `cdc follows the row-format binlog of a MySQL or MariaDB server as a replica does, and carries every committed change of the chosen tables, once
and in order, to where it is wanted. It keeps its place as a GTID set, and stops with a reason where it cannot keep that promise.`,
		Example: `  cdc tail mysql://cdc@db1/               # see changes on the screen
  cdc check pipeline.yaml                 # is everything there that a pipeline needs?
  cdc run pipeline.yaml                   # run a pipeline
  cdc status pipeline.yaml                # how it does`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.New(fault.UsageInvalid, "%w", err).Hint("see `%s --help`", c.CommandPath())
	})
	root.AddCommand(runCommand(), checkCommand(), tailCommand(), analyzeCommand(), historyCommand(), flashbackCommand(), replayBinlogCommand(), statusCommand(), pauseCommand(), resumeCommand(), skipCommand(), snapshotCommand(), verifyCommand(), objectsCommand(), filesCommand(), deadletterCommand(), relayCommand(), checkpointCommand(), schemaCommand(), configCommand(), errorsCommand(), manCommand(), versionCommand(), docsCommand())
	addCompletion(root)
	return root
}

// faults is several faults at once, as a configuration has them.
type faults []*fault.Error

func (f faults) Error() string {
	if len(f) == 1 {
		return f[0].Error()
	}
	return fmt.Sprintf("%d faults, the first: %v", len(f), f[0])
}

func (f faults) Unwrap() []error {
	out := make([]error, len(f))
	for i := range f {
		out[i] = f[i]
	}
	return out
}

// report prints what went wrong and what to do next, and gives the exit code.
func report(w io.Writer, err error) int {
	var many faults
	if errors.As(err, &many) {
		next := ""
		for _, f := range many {
			fmt.Fprintln(w, f.Error())
			next = f.Next
		}
		if next != "" {
			fmt.Fprintln(w, "  next:", next)
		}
		return exitUsage
	}
	if own, ok := errors.AsType[*exitError](err); ok {
		report(w, own.error)
		return own.code
	}
	f, ok := fault.As(err)
	if !ok {
		fmt.Fprintln(w, "cdc:", err)
		return exitUsage // cobra's own: an unknown command, a missing argument
	}
	fmt.Fprintln(w, err)
	if f.Next != "" {
		fmt.Fprintln(w, "  next:", f.Next)
	}
	if f.Code < 2000 {
		return exitUsage
	}
	return exitFault
}

// oneFile is the usual argument of a command: a configuration.
func oneFile(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fault.New(fault.UsageInvalid, "want one configuration file, found %d arguments", len(args)).
			Hint("%s FILE.yaml; see `%s --help`", c.CommandPath(), c.CommandPath())
	}
	return nil
}
