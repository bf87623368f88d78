namespace UPool.Cluster.Workers;

/// <summary>STUB of the signatures.</summary>
public sealed class WorkerClient<TGrain> where TGrain : IGrainWithIntegerKey
{
    /// <summary>Calls a read: retried elsewhere, inside the deadline, when its silo is lost.</summary>
    public Task<Reply<T>> ReadAsync<T>(
        Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call, Deadline deadline, CancellationToken cancellationToken) =>
        throw new NotImplementedException();

    /// <summary>Calls a write: tried once; when its silo is lost the outcome is unknown.</summary>
    public Task<Reply<T>> WriteAsync<T>(
        Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call, Deadline deadline, CancellationToken cancellationToken) =>
        throw new NotImplementedException();
}
