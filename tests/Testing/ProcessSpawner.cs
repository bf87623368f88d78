using System.Collections.Concurrent;
using System.Diagnostics;

namespace UPool.Testing;

/// <summary>Starts child processes that the kernel kills when this process ends, however it ends.</summary>
internal static class ProcessSpawner
{
    // PR_SET_PDEATHSIG fires when the *thread* that forked ends, and a thread-pool thread may end at any time. So this
    // one thread, which lives as long as the process, forks every child.
    private static readonly BlockingCollection<Action> Work = CreateThread();

    /// <summary>Starts a process; see <see cref="Wrap"/>.</summary>
    public static Task StartAsync(Process process)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Work.Add(() =>
        {
            try
            {
                process.Start();
                started.SetResult();
            }
            catch (Exception exception)
            {
                started.SetException(exception);
            }
        });
        return started.Task;
    }

    /// <summary>Wraps a program in <c>setpriv --pdeathsig KILL</c>, which execs it: the process id stays.</summary>
    public static ProcessStartInfo Wrap(string fileName, IEnumerable<string> arguments)
    {
        var setpriv = Programs.Find("setpriv", "util-linux");
        var start = new ProcessStartInfo(setpriv) { UseShellExecute = false };
        foreach (var argument in (string[])["--pdeathsig", "KILL", fileName, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }

    private static BlockingCollection<Action> CreateThread()
    {
        var work = new BlockingCollection<Action>();
        var thread = new Thread(() =>
        {
            foreach (var action in work.GetConsumingEnumerable())
            {
                action();
            }
        })
        {
            IsBackground = true,
            Name = "process spawner",
        };
        thread.Start();
        return work;
    }
}
