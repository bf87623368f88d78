using UPool.Cluster;
using UPool.Cluster.Workers;
using UPool.Grains;

namespace UPool.Api.Users;

/// <summary>Calls the workers. Only this class decides which calls are reads, which may be retried
/// elsewhere.</summary>
internal sealed class WorkerUsers(WorkerClient<IUserGrain> workers) : IUsers
{
    private readonly SharedCall<PageKey, UserPage> _pages = workers.Share<PageKey, UserPage>(
        "users.list", static (grain, page, due, token) => grain.List(page.Limit, page.After, due, token));

    private readonly SharedCall<long, User> _users = workers.ShareLookup<long, User>(
        "users.get",
        static (grain, id, due, token) => grain.Get(id, due, token),
        static (grain, ids, due, token) => grain.GetMany(ids, due, token));

    public ValueTask<Reply<UserPage>> ListAsync(
        int limit, long after, Deadline deadline, CancellationToken cancellationToken) =>
        _pages.ReadAsync(new PageKey(limit, after), deadline, cancellationToken);

    public ValueTask<Reply<User>> GetAsync(long id, Deadline deadline, CancellationToken cancellationToken) =>
        _users.ReadAsync(id, deadline, cancellationToken);

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

    private readonly record struct PageKey(int Limit, long After);
}
