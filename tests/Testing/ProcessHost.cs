using System.Diagnostics;
using System.Net;

namespace UPool.Testing;

/// <summary>
/// A child process that never outlives the test host. Its output is kept and every wait has a time limit. Disposing
/// kills it.
/// </summary>
public sealed class ProcessHost : IAsyncDisposable
{
    /// <summary>The most output lines that are kept; beyond it the oldest half is dropped.</summary>
    public const int MaxLines = 20_000;

    // The number of newest lines in a failure's message.
    private const int LinesInMessages = 200;

    private static readonly TimeSpan HttpPollInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan HttpTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FreezeTimeout = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();

    // _gate guards the fields below.
    private readonly List<string> _lines = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _dropped;
    private int _openStreams = 2;

    private ProcessHost(string name, Process process)
    {
        Name = name;
        _process = process;
    }

    /// <summary>The process's name in messages.</summary>
    public string Name { get; }

    /// <summary>The process id.</summary>
    public int ProcessId { get; private set; }

    /// <summary>Whether the process has ended.</summary>
    public bool HasExited => _exited.Task.IsCompleted;

    /// <summary>The exit code; 128 + n after signal n.</summary>
    /// <exception cref="InvalidOperationException">The process still runs.</exception>
    public int ExitCode => HasExited
        ? _process.ExitCode
        : throw new InvalidOperationException($"Process '{Name}' ({ProcessId}) still runs.");

    /// <summary>The output so far, both streams in order of arrival.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_gate)
            {
                return [.. _lines];
            }
        }
    }

    /// <summary>The newest output lines as one text, for messages.</summary>
    public string Output => string.Join('\n', Lines.TakeLast(LinesInMessages));

    /// <summary>Starts a program.</summary>
    /// <param name="name">Its name in messages.</param>
    /// <param name="fileName">The program; a name without a path is searched in PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Variables to add; null removes an inherited one.</param>
    /// <param name="workingDirectory">Its working directory; null: the current folder.</param>
    public static Task<ProcessHost> StartAsync(
        string name,
        string fileName,
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null)
    {
        OwnProcesses.Require($"'{name}'");
        return StartPartAsync(name, fileName, arguments, environment, workingDirectory);
    }

    /// <summary>The same for parts of this library: a server and the tools that create its data.</summary>
    internal static async Task<ProcessHost> StartPartAsync(
        string name,
        string fileName,
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null)
    {
        var start = ProcessSpawner.Wrap(fileName, arguments);
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.WorkingDirectory = workingDirectory ?? "";
        foreach (var (key, value) in environment ?? new Dictionary<string, string?>())
        {
            if (value is null)
            {
                start.Environment.Remove(key);
            }
            else
            {
                start.Environment[key] = value;
            }
        }

        var host = new ProcessHost(name, new Process { StartInfo = start, EnableRaisingEvents = true });
        await host.RunAsync();
        return host;
    }

    /// <summary>Starts <c>dotnet program.dll</c>.</summary>
    public static Task<ProcessHost> StartDotnetAsync(
        string name,
        string programDll,
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null) =>
        StartAsync(
            name, Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet",
            [programDll, .. arguments], environment, workingDirectory);

    /// <summary>Waits until a line of output, past or future, contains a text; returns the line.</summary>
    /// <exception cref="TimeoutException">No such line in time; the message contains the output.</exception>
    public Task<string> WaitForLineAsync(string text, TimeSpan timeout) =>
        WaitForLineAsync(line => line.Contains(text, StringComparison.Ordinal), $"a line with '{text}'", timeout);

    /// <summary>Waits until a line of output, past or future, satisfies a condition; returns the line.</summary>
    /// <exception cref="TimeoutException">No such line in time; the message contains the output.</exception>
    public async Task<string> WaitForLineAsync(Func<string, bool> condition, string description, TimeSpan timeout)
    {
        using var bound = new CancellationTokenSource(timeout);
        long next = 0;
        while (true)
        {
            Task changed;
            // Read before the lines: if output arrives in between, the loop looks once more.
            var ended = _drained.Task.IsCompleted;
            lock (_gate)
            {
                for (var index = (int)Math.Max(0, next - _dropped); index < _lines.Count; index++)
                {
                    if (condition(_lines[index]))
                    {
                        return _lines[index];
                    }
                }

                next = _dropped + _lines.Count;
                changed = _changed.Task;
            }

            if (ended)
            {
                throw Failure($"ended before {description}");
            }

            try
            {
                await Task.WhenAny(changed, _drained.Task).WaitAsync(bound.Token);
            }
            catch (OperationCanceledException)
            {
                throw Failure($"did not print {description} within {timeout}");
            }
        }
    }

    /// <summary>Waits until a URL returns a status (default 200).</summary>
    /// <exception cref="TimeoutException">It did not in time; the message contains the output.</exception>
    public async Task WaitForHttpAsync(Uri url, TimeSpan timeout, HttpStatusCode status = HttpStatusCode.OK)
    {
        using var client = new HttpClient { Timeout = HttpTimeout };
        using var bound = new CancellationTokenSource(timeout);
        var last = "no answer yet";
        while (!HasExited)
        {
            try
            {
                using var response = await client.GetAsync(url, bound.Token);
                if (response.StatusCode == status)
                {
                    return;
                }

                last = $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(bound.Token)}";
            }
            catch (HttpRequestException exception)
            {
                last = exception.Message;
            }
            catch (OperationCanceledException) when (!bound.IsCancellationRequested)
            {
                last = $"no answer within {HttpTimeout}";
            }
            catch (OperationCanceledException)
            {
                break;
            }

            // A port has no event to wait for; this is the only poll here.
            await Task.WhenAny(_exited.Task, Task.Delay(HttpPollInterval, bound.Token));
            if (bound.IsCancellationRequested)
            {
                break;
            }
        }

        throw Failure(
            $"{(HasExited ? "ended" : $"was given {timeout}")} before {url} answered {(int)status} (last: {last})");
    }

    /// <summary>Waits until the process has ended and its output is complete; returns the exit code.</summary>
    /// <exception cref="TimeoutException">It did not end in time; the message contains its output.</exception>
    public async Task<int> WaitForExitAsync(TimeSpan timeout)
    {
        try
        {
            await Task.WhenAll(_exited.Task, _drained.Task).WaitAsync(timeout);
            return ExitCode;
        }
        catch (TimeoutException)
        {
            throw Failure($"did not end within {timeout}");
        }
    }

    /// <summary>Kills the process (SIGKILL), as a crash does.</summary>
    public void Kill9() => Send(Signals.Kill);

    /// <summary>Asks the process to end (SIGTERM).</summary>
    public void Terminate() => Send(Signals.Terminate);

    /// <summary>Stops the process (SIGSTOP); on return, none of its threads runs.</summary>
    public void Freeze()
    {
        Send(Signals.Stop);

        // The signal reaches threads on other processors a moment later; they could still answer a statement sent now.
        if (!SpinWait.SpinUntil(() => HasExited || Signals.IsStopped(ProcessId), FreezeTimeout))
        {
            throw Failure($"was not stopped by SIGSTOP within {FreezeTimeout}");
        }
    }

    /// <summary>Resumes a frozen process (SIGCONT).</summary>
    public void Thaw() => Send(Signals.Continue);

    /// <summary>Kills the process and waits until it has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Kill9();
        await _exited.Task;
        _process.Dispose();
    }

    private async Task RunAsync()
    {
        _process.Exited += (_, _) => _exited.TrySetResult();
        _process.OutputDataReceived += (_, received) => Append(received.Data);
        _process.ErrorDataReceived += (_, received) => Append(received.Data);
        await ProcessSpawner.StartAsync(_process);
        ProcessId = _process.Id;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        _process.StandardInput.Close();
    }

    private void Append(string? line)
    {
        lock (_gate)
        {
            if (line is null)
            {
                _openStreams--;
                if (_openStreams == 0)
                {
                    _drained.TrySetResult();
                }

                return;
            }

            if (_lines.Count == MaxLines)
            {
                _lines.RemoveRange(0, MaxLines / 2);
                _dropped += MaxLines / 2;
            }

            _lines.Add(line);
            var changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            changed.SetResult();
        }
    }

    private void Send(int signal)
    {
        // The id of an ended child may already belong to another process.
        if (!HasExited)
        {
            Signals.Send(ProcessId, signal);
        }
    }

    private TimeoutException Failure(string what)
    {
        var state = HasExited ? $"exit code {_process.ExitCode}" : "running";
        return new TimeoutException($"Process '{Name}' ({ProcessId}, {state}) {what}. Its output:\n{Output}");
    }
}
