using UPool.Api;
using UPool.Cluster.Registration;
using UPool.Grains;
using UPool.Hosting;
using UPool.Management;
using UPool.Sqlite;

WebApplication app;
try
{
    WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
    builder.AddUPoolApi();
    builder.AddUsers();
    builder.AddUPoolSqlite();
    bool isTraced = builder.Configuration.IsTraced();
    if (builder.Configuration.GetValue("UPool:Api:HostSilo", true))
    {
        builder.AddUPoolSilo(silo =>
        {
            if (isTraced) silo.AddActivityPropagation();
        });
    }
    else
    {
        builder.AddUPoolClient(client =>
        {
            if (isTraced) client.AddActivityPropagation();
        });
    }

    app = builder.Build();
    app.UseUPoolApi();
}
catch (Exception e) when (e is not HostAbortedException)
{
    // No host runs yet: print the error as RunUPoolAsync does.
    await Console.Error.WriteLineAsync(UPoolProgram.Describe(e));
    return 1;
}

return await app.RunUPoolAsync();
