using Microsoft.Extensions.Hosting;

namespace UPool.Grains;

/// <summary>STUB of the signature: the users' schema and, for the embedded default, their seed.</summary>
public static class UserHostExtensions
{
    /// <summary>Adds the users to a process that holds a silo.</summary>
    public static IHostApplicationBuilder AddUsers(this IHostApplicationBuilder builder) => throw new NotImplementedException();
}
