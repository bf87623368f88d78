using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using UPool.Cluster.Membership;
using UPool.Hosting;

namespace UPool.Grains;

/// <summary>Adds the users to a host.</summary>
public static class UserHostExtensions
{
    /// <summary>Adds the users' table to the migration, the health check and the embedded default.</summary>
    public static IHostApplicationBuilder AddUsers(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddSingleton(UserSchema.Script);
        builder.Services.AddSingleton(new RequiredTable(UserSchema.Table, UserTable.LookAsync));
        builder.Services.AddSingleton(new EmbeddedSetup(UserSchema.CreateEmbeddedAsync));
        return builder;
    }
}
