using UPool.Cluster;
using UPool.Grains;

namespace UPool.Api.Users;

/// <summary>The users as the endpoints see them, without grains or silos.</summary>
internal interface IUsers
{
    ValueTask<Reply<UserPage>> ListAsync(int limit, long after, Deadline deadline, CancellationToken cancellationToken);

    ValueTask<Reply<User>> GetAsync(long id, Deadline deadline, CancellationToken cancellationToken);

    Task<Reply<User>> CreateAsync(string name, Deadline deadline, CancellationToken cancellationToken);

    Task<Reply<User[]>> CreateBatchAsync(string[] names, Deadline deadline, CancellationToken cancellationToken);

    Task<Reply<User>> RenameAsync(long id, string name, Deadline deadline, CancellationToken cancellationToken);

    Task<Reply<User>> DeleteAsync(long id, Deadline deadline, CancellationToken cancellationToken);
}
