using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>
/// Shared calls on a fake clock: each call is held until the test answers it. The client believes that it runs in its
/// silo's process, so only the shared calls are between it and the test.
/// </summary>
internal sealed class CallHarness : IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Channel<HeldCall> _arrived = Channel.CreateUnbounded<HeldCall>();
    private readonly ServiceProvider _services;
    private int _count;

    public CallHarness(bool isShared = true)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<TimeProvider>(Clock);
        services.AddSingleton(DispatchProxy.Create<IGrainFactory, Nothing>());
        services.AddSingleton(DispatchProxy.Create<ILocalSiloDetails, Nothing>());
        services.AddSingleton<CallStopper>();
        services.AddSingleton<SharedCalls>();
        services.Configure<ReadOptions>(options => options.Shared = isShared);
        _services = services.BuildServiceProvider();
        var client = new WorkerClient<IProbeGrain>(
            _services.GetRequiredService<IGrainFactory>(), Options.Create(new WorkerClientOptions()), Clock,
            NullLogger<WorkerClient<IProbeGrain>>.Instance, _services);

        // Unique names: a listener hears all shared calls of the process.
        Reads = client.Share<int, string>($"read {Id}", (_, key, due, token) => OneAsync(key, due, token));
        LookUps = client.ShareLookup<int, string>(
            $"look-up {Id}", (_, key, due, token) => OneAsync(key, due, token), (_, keys, due, token) =>
                HoldAsync(new HeldCall(keys, due, token)));
    }

    public Guid Id { get; } = Guid.NewGuid();

    public FakeTimeProvider Clock { get; } = new();

    /// <summary>A read whose every call answers one key.</summary>
    public SharedCall<int, string> Reads { get; }

    public SharedCall<int, string> LookUps { get; }

    /// <summary>The state that a call records on arrival.</summary>
    public Func<long>? State { get; set; }

    /// <summary>The number of calls so far.</summary>
    public int Count => Volatile.Read(ref _count);

    public Task<Reply<string>> Read(Deadline deadline = default, int question = 1, CancellationToken token = default) =>
        Reads.ReadAsync(question, deadline, token).AsTask();

    public Task<Reply<string>> LookUp(int key, Deadline deadline = default, CancellationToken token = default) =>
        LookUps.ReadAsync(key, deadline, token).AsTask();

    public Task<Reply<string>>[] LookUpAll(params IEnumerable<int> keys) => [.. keys.Select(key => LookUp(key))];

    /// <summary>Waits for the next call.</summary>
    public Task<HeldCall> NextAsync() => FinishAsync(_arrived.Reader.ReadAsync().AsTask(), "a call");

    /// <summary>Returns the next call if it was already made.</summary>
    public bool TryNext([NotNullWhen(true)] out HeldCall? call) => _arrived.Reader.TryRead(out call);

    /// <summary>Starts two callers with two calls in progress, so that a caller arriving now waits for the third
    /// call.</summary>
    public async Task<UnderWay> FillAsync(Func<Task<Reply<string>>> ask)
    {
        Task<Reply<string>> first = ask();
        HeldCall one = await NextAsync();
        Task<Reply<string>> second = ask();
        return new UnderWay(this, [first, second], [one, await NextAsync()]);
    }

    public Deadline In(double milliseconds) => Deadline.After(TimeSpan.FromMilliseconds(milliseconds), Clock);

    public void Advance(double milliseconds) => Clock.Advance(TimeSpan.FromMilliseconds(milliseconds));

    /// <summary>Simulates the end of the process: the container disposes what the shared calls have in
    /// common.</summary>
    public void Stop() => _services.GetRequiredService<SharedCalls>().Dispose();

    public async Task<T> FinishAsync<T>(Task<T> task, string what = "a caller")
    {
        await ((Task)task).WaitAsync(Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!task.IsCompleted) Assert.Fail($"Waited past the barrier for {what}; {Count} calls were made.");
        return await task;
    }

    /// <summary>The values that callers received; asserts that all replies are Ok.</summary>
    public async Task<string?[]> ValuesAsync(params Task<Reply<string>>[] callers)
    {
        var values = new string?[callers.Length];
        for (int i = 0; i < callers.Length; i++)
        {
            Reply<string> reply = await FinishAsync(callers[i]);
            Assert.Equal(ReplyStatus.Ok, reply.Status);
            values[i] = reply.Value;
        }

        return values;
    }

    public void Dispose() => _services.Dispose();

    private async Task<Reply<string>> OneAsync(int key, Deadline due, CancellationToken token)
    {
        Reply<string?[]> reply = await HoldAsync(new HeldCall([key], due, token));
        return new Reply<string>
        {
            Status = reply.Status,
            Refusal = reply.Refusal,
            Detail = reply.Detail,
            Value = reply.Value?[0],
        };
    }

    private Task<Reply<string?[]>> HoldAsync(HeldCall call)
    {
        Interlocked.Increment(ref _count);
        call.Seen = State?.Invoke() ?? 0;
        _arrived.Writer.TryWrite(call);
        return call.Ending.Task;
    }

    /// <summary>Replaces services that the client requires but does not use here.</summary>
    [SuppressMessage("Performance", "CA1852", Justification = "DispatchProxy derives from it at run time.")]
    public class Nothing : DispatchProxy
    {
        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => null;
    }
}

/// <summary>A call that waits for its reply.</summary>
internal sealed record HeldCall(int[] Keys, Deadline Deadline, CancellationToken Token)
{
    /// <summary>The state at its arrival.</summary>
    public long Seen { get; set; }

    public TaskCompletionSource<Reply<string?[]>> Ending { get; } =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Replies with a row for each non-negative key.</summary>
    public void Answer(string text) => Ending.SetResult(
        Reply.Ok<string?[]>([.. Keys.Select(key => key < 0 ? null : $"{text}{key}")]));

    public void Fail(
        ReplyStatus status = ReplyStatus.Failed, string detail = "the database failed the statement") =>
        Ending.SetResult(Reply.Ended<string?[]>(status, detail));
}

/// <summary>Calls in progress and their callers.</summary>
internal sealed record UnderWay(CallHarness Harness, Task<Reply<string>>[] Callers, HeldCall[] Calls)
{
    public async Task EndAsync()
    {
        foreach (HeldCall call in Calls) call.Answer("old ");
        await Harness.ValuesAsync(Callers);
    }
}
