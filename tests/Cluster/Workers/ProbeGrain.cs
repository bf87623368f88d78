using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Workers;

/// <summary>A grain that knows only the framework, as anybody's would.</summary>
[Alias("UPool.Tests.IProbeGrain")]
public interface IProbeGrain : IGrainWithIntegerKey
{
    [Spread, Alias("Ask")]
    Task<Reply<string>> Ask(Deadline deadline, CancellationToken cancellationToken);

    [Spread, Alias("Write")]
    Task<Reply<string>> Write(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>A write that has another one done before its own.</summary>
    [Spread, Alias("WriteAfterAnother")]
    Task<Reply<string>> WriteAfterAnother(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>A write whose calls do not spread.</summary>
    [Alias("WriteUnspread")]
    Task<Reply<string>> WriteUnspread(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Past the base: what the board throws reaches the caller, as what Orleans throws does.</summary>
    [Spread, Alias("Raw")]
    Task<Reply<string>> Raw(Deadline deadline, CancellationToken cancellationToken);
}

public sealed class ProbeGrain(PooledDataSource pool, Board board, ILocalSiloDetails silo)
    : WorkerGrain(pool), IProbeGrain
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

    public Task<Reply<string>> WriteUnspread(Deadline deadline, CancellationToken cancellationToken) =>
        Write(deadline, cancellationToken);

    public Task<Reply<string>> Raw(Deadline deadline, CancellationToken cancellationToken) =>
        board.AskAsync(silo.Name, deadline, cancellationToken);

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        board.Activated();
        return base.OnActivateAsync(cancellationToken);
    }
}

/// <summary>What a test lets the grains of all silos do; they share its process.</summary>
public sealed class Board
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    private int _asked;
    private int _activations;

    public delegate Task<Reply<string>> Answer(int asking, string silo, Deadline deadline, CancellationToken token);

    /// <summary>Answers an asking; they are counted from 1.</summary>
    public Answer OnAsk { get; set; } = static (_, silo, _, _) => Task.FromResult(Reply.Ok(silo));

    public int Asked => Volatile.Read(ref _asked);

    public int Activations => Volatile.Read(ref _activations);

    public Task<Reply<string>> AskAsync(string silo, Deadline deadline, CancellationToken token) =>
        OnAsk(Interlocked.Increment(ref _asked), silo, deadline, token);

    public void Activated() => Interlocked.Increment(ref _activations);

    /// <summary>Does not answer until it is told to stop. Bounded, as a silo waits for its calls when it
    /// ends.</summary>
    public static async Task<Reply<string>> HangAsync(CancellationToken token)
    {
        await Task.Delay(Longest, token);
        return Reply.Ok("nobody stopped it");
    }
}
