using UPool.Cluster.Workers;
using UPool.Grains;

namespace UPool.Api.Users;

/// <summary>Calls the workers. Which call is a read, and so may be tried again elsewhere, is said here and nowhere
/// else.</summary>
internal sealed class WorkerUsers(WorkerClient<IUserGrain> workers) : IUsers
{
    public Task<Reply<UserPage>> ListAsync(
        int limit, long after, Deadline deadline, CancellationToken cancellationToken) =>
        workers.ReadAsync((grain, due, token) => grain.List(limit, after, due, token), deadline, cancellationToken);

    public Task<Reply<User>> GetAsync(long id, Deadline deadline, CancellationToken cancellationToken) =>
        workers.ReadAsync((grain, due, token) => grain.Get(id, due, token), deadline, cancellationToken);

    public Task<Reply<User>> CreateAsync(string name, Deadline deadline, CancellationToken cancellationToken) =>
        workers.WriteAsync((grain, due, token) => grain.Create(name, due, token), deadline, cancellationToken);

    public Task<Reply<User[]>> CreateBatchAsync(
        string[] names, Deadline deadline, CancellationToken cancellationToken) =>
        workers.WriteAsync((grain, due, token) => grain.CreateBatch(names, due, token), deadline, cancellationToken);

    public Task<Reply<User>> RenameAsync(
        long id, string name, Deadline deadline, CancellationToken cancellationToken) =>
        workers.WriteAsync((grain, due, token) => grain.Rename(id, name, due, token), deadline, cancellationToken);

    public Task<Reply<User>> DeleteAsync(long id, Deadline deadline, CancellationToken cancellationToken) =>
        workers.WriteAsync((grain, due, token) => grain.Delete(id, due, token), deadline, cancellationToken);
}
