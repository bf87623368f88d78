using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>A grain that depends on the framework only, as an application's grain does.</summary>
[Alias("UPool.Tests.IProbeGrain")]
public interface IProbeGrain : IGrainWithIntegerKey
{
    [Spread, Alias("Ask")]
    Task<Reply<string>> Ask(Deadline deadline, CancellationToken cancellationToken);

    [Spread, Alias("Write")]
    Task<Reply<string>> Write(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>A write that makes another write before its own.</summary>
    [Spread, Alias("WriteAfterAnother")]
    Task<Reply<string>> WriteAfterAnother(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Several writes of one call, made in the given shape.</summary>
    [Spread, Alias("WriteSeveral")]
    Task<Reply<string>> WriteSeveral(WriteShape shape, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>A write whose calls do not spread.</summary>
    [Alias("WriteUnspread")]
    Task<Reply<string>> WriteUnspread(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Bypasses the base class: an exception of the board reaches the caller as an exception of Orleans
    /// does.</summary>
    [Spread, Alias("Raw")]
    Task<Reply<string>> Raw(Deadline deadline, CancellationToken cancellationToken);
}

/// <summary>How a call makes its two writes.</summary>
public enum WriteShape
{
    Helpers,
    HelperOfTheBase,
    InsideOneHelper,
    Parallel,
    OffTheScheduler,
    OnTheThreadPool,
    InsideARead,
    AfterAReadOfItself,
    AroundACallOfAnotherGrain,
    AfterAFailure,
    Transactions,
}

/// <summary>An application's own base class between the framework's and the grain.</summary>
public abstract class ProbeGrainBase(PooledDataSource pool) : WorkerGrain(pool)
{
    protected async Task<Reply<string>> WriteAfterAnAwaitAsync(
        Func<CancellationToken, Task<Reply<string>>> write, Deadline deadline, CancellationToken cancellationToken)
    {
        await Task.Yield();
        return await WriteAsync(deadline, cancellationToken, (_, token) => write(token));
    }
}

public sealed class ProbeGrain(PooledDataSource pool, Board board, ILocalSiloDetails silo)
    : ProbeGrainBase(pool), IProbeGrain
{
    public Task<Reply<string>> Ask(Deadline deadline, CancellationToken cancellationToken) =>
        ReadAsync(deadline, cancellationToken, (_, token) => board.AskAsync(silo.Name, deadline, token));

    public Task<Reply<string>> Write(Deadline deadline, CancellationToken cancellationToken) =>
        WriteAsync(deadline, cancellationToken, (_, token) => board.AskAsync(silo.Name, deadline, token));

    public async Task<Reply<string>> WriteAfterAnother(Deadline deadline, CancellationToken cancellationToken)
    {
        Reply<string> other = await GrainFactory.GetGrain<IProbeGrain>(0).Write(deadline, cancellationToken);
        return other.Status == ReplyStatus.Ok ? await Write(deadline, cancellationToken) : other;
    }

    public async Task<Reply<string>> WriteSeveral(
        WriteShape shape, Deadline deadline, CancellationToken cancellationToken)
    {
        Task<Reply<string>> Helper() => WriteInAHelperAsync(deadline, cancellationToken);
        Task<Reply<string>> HelperOfTheBase() => WriteAfterAnAwaitAsync(
            token => board.AskAsync(silo.Name, deadline, token), deadline, cancellationToken);
        switch (shape)
        {
            case WriteShape.Helpers:
                return Worst(await Helper(), await Helper());
            case WriteShape.HelperOfTheBase:
                return Worst(await HelperOfTheBase(), await HelperOfTheBase());
            case WriteShape.InsideOneHelper:
                return await WriteTwiceInAHelperAsync(deadline, cancellationToken);
            case WriteShape.Parallel:
                return Worst(await Task.WhenAll(Helper(), HelperOfTheBase()));
            case WriteShape.OffTheScheduler:
                return Worst(await Library.TwiceAsync(Helper));
            case WriteShape.OnTheThreadPool:
                return Worst(await Task.Run(Helper, cancellationToken), await Task.Run(Helper, cancellationToken));
            case WriteShape.InsideARead:
                Reply<string> inside = await ReadAsync(deadline, cancellationToken, (_, _) => Helper());
                return Worst(inside, await Helper());
            case WriteShape.AfterAReadOfItself:
                await ReadAsync(deadline, cancellationToken, static (_, _) => Task.FromResult(Reply.Ok("")));
                return Worst(await Helper(), await Helper());
            case WriteShape.AroundACallOfAnotherGrain:
                Reply<string> before = await Helper();
                await GrainFactory.GetGrain<IProbeGrain>(1).Raw(deadline, cancellationToken);
                return Worst(before, await Helper());
            case WriteShape.AfterAFailure:
                Reply<string> failed = await WriteAsync<string>(
                    deadline, cancellationToken, static (_, _) => throw new InvalidOperationException("first"));
                return failed.Status == ReplyStatus.Failed ? Worst(await Helper(), await Helper()) : failed;
            default:
                return Worst(await TransactAsync(deadline, cancellationToken),
                    await TransactAsync(deadline, cancellationToken));
        }
    }

    public Task<Reply<string>> WriteUnspread(Deadline deadline, CancellationToken cancellationToken) =>
        Write(deadline, cancellationToken);

    public Task<Reply<string>> Raw(Deadline deadline, CancellationToken cancellationToken) =>
        board.AskAsync(silo.Name, deadline, cancellationToken);

    private async Task<Reply<string>> WriteInAHelperAsync(Deadline deadline, CancellationToken cancellationToken) =>
        await Write(deadline, cancellationToken);

    private async Task<Reply<string>> WriteTwiceInAHelperAsync(
        Deadline deadline, CancellationToken cancellationToken) =>
        Worst(await Write(deadline, cancellationToken), await Write(deadline, cancellationToken));

    private async Task<Reply<string>> TransactAsync(Deadline deadline, CancellationToken cancellationToken) =>
        await WriteInTransactionAsync(
            deadline, cancellationToken, (_, _, token) => board.AskAsync(silo.Name, deadline, token));

    private static Reply<string> Worst(params Reply<string>[] replies) =>
        replies.MaxBy(static reply => reply.Status)!;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        board.Activated();
        return base.OnActivateAsync(cancellationToken);
    }
}

/// <summary>Code that does not depend on grains.</summary>
internal static class Library
{
    public static async Task<Reply<string>[]> TwiceAsync(Func<Task<Reply<string>>> write)
    {
        await Task.Delay(1).ConfigureAwait(false);
        Reply<string> first = await write().ConfigureAwait(false);
        return [first, await write().ConfigureAwait(false)];
    }
}

/// <summary>The behaviour that a test gives to the grains of all silos, which share its process.</summary>
public sealed class Board
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    private int _asked;
    private int _activations;

    public delegate Task<Reply<string>> Answer(int asking, string silo, Deadline deadline, CancellationToken token);

    /// <summary>Answers a call of the grain; the calls are counted from 1.</summary>
    public Answer OnAsk { get; set; } = static (_, silo, _, _) => Task.FromResult(Reply.Ok(silo));

    public int Asked => Volatile.Read(ref _asked);

    public int Activations => Volatile.Read(ref _activations);

    public Task<Reply<string>> AskAsync(string silo, Deadline deadline, CancellationToken token) =>
        OnAsk(Interlocked.Increment(ref _asked), silo, deadline, token);

    public void Activated() => Interlocked.Increment(ref _activations);

    /// <summary>Replies only after it is cancelled. Limited in time, because a silo waits for its calls when it
    /// stops.</summary>
    public static async Task<Reply<string>> HangAsync(CancellationToken token)
    {
        await Task.Delay(Longest, token);
        return Reply.Ok("not cancelled");
    }
}
